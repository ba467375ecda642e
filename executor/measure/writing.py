"""A data check of one trial: records are written at a fixed rate, and read back before the fault and after recovery."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from uuid import UUID

import anyio

from executor.measure.stream import Stream
from executor.model.data_check import ID, PREFIX, Access, DataCheck, filled
from executor.probes.answer import Answer
from executor.probes.ask import Client, ask
from executor.probes.http import BODY_BYTES_MAX

READ_HZ = 2.0
"""Rate at which records are read again while the data may still settle."""
WRITES, READS, FOUND = "writes:", "reads:", "found:"


def invariant(check: str, number: int) -> str:
    """The source of a data check's invariants, the first being 1."""
    return f"invariant:{check}.{number}"


def record_prefix(mark: str) -> str:
    """What all ids begin with that are written under a mark; six hexadecimal digits follow, the record's number.

    With them it is a UUID of version 8 (RFC 9562): six bytes that spell "murphy", and 50 bits of the mark's digest.
    """
    made = bytearray(b"murphy" + hashlib.sha256(mark.encode()).digest()[:7] + bytes(3))
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(made)))[:-6]


def record_id(mark: str, number: int) -> str:
    """A record's id, for numbers below 2**24."""
    return f"{record_prefix(mark)}{number:06x}"


def numbers_in(text: str, mark: str) -> list[int]:
    """The numbers of all ids of a mark in a text, in order, each as often as it is there."""
    found = re.findall(rf"{record_prefix(mark)}([0-9a-f]{{6}})(?![0-9a-f])", text, re.IGNORECASE)
    return sorted(int(digits, 16) for digits in found)


class Writing:
    """What was acknowledged, and the readings. For one trial."""

    def __init__(
        self,
        check: DataCheck,
        mark: str,
        clock0: float,
        record: Callable[..., None],
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """``mark`` is one that no other trial bears; ``record`` takes the fields of each observation.

        Nothing is written while ``may_write`` says no; it is asked before each record.
        """
        self.check = check
        self._mark = mark
        self._record = record
        self._may_write = may_write
        self._kept: set[int] = set()
        self.stream: Stream | None = None
        """What writes; run by whoever runs the checks' streams. ``None`` if nothing is to be written."""
        if check.write is not None:
            self.stream = Stream(
                WRITES + check.id,
                self._write,
                check.rate_hz,
                clock0,
                record,
                timeout_ms=check.write.timeout_ms,
                numbered=True,
            )

    async def read_back(self, client: Client, now_s: Callable[[], float], settle_s: float = 0.0) -> None:
        """Read all records and ask the invariants; again, for ``settle_s`` seconds, until all is as it should be.

        Reads at least once, the last time when that time is over, however long the readings take. All is recorded.
        """
        until_s = now_s() + settle_s
        while True:
            began_s = now_s()
            if await self._read_once(client, now_s) or began_s >= until_s:
                return
            await anyio.sleep(max(0.0, min(1 / READ_HZ, until_s - now_s())))

    async def _write(self, client: Client, number: int) -> Answer:
        assert self.check.write is not None  # else there is no stream
        if not self._may_write():
            return Answer(ok=False, latency_ms=0.0, error="not written: the trial is over")
        answer = await ask(filled(self.check.write, ID, record_id(self._mark, number)), client, writes=True)
        if answer.ok:
            self._kept.add(number)
        return answer

    async def _read_once(self, client: Client, now_s: Callable[[], float]) -> bool:
        """Whether all acknowledged records were there, none twice, and every invariant held."""
        agrees = True
        if self.check.read is not None:
            agrees = await self._read(filled(self.check.read, PREFIX, record_prefix(self._mark)), client, now_s)
        for number, asked in enumerate(self.check.invariants, start=1):
            at_s = now_s()
            answer = await ask(asked, client)
            holds = _holds(asked, answer)
            self._record(
                source=invariant(self.check.id, number),
                at_s=at_s,
                ok=holds is True,
                latency_ms=answer.latency_ms,
                status=answer.status,
                value=None if holds is None else float(holds),
                error=answer.error,
            )
            agrees = agrees and holds is True
        return agrees

    async def _read(self, read: Access, client: Client, now_s: Callable[[], float]) -> bool:
        expected, at_s = frozenset(self._kept), now_s()
        answer = await ask(read, client)
        error = answer.error
        if answer.ok and read.kind == "http" and len(answer.body) >= BODY_BYTES_MAX:
            error = f"the answer is longer than the {BODY_BYTES_MAX // 2**20} MiB that are read"
        found = numbers_in(answer.body.decode("utf-8", "replace"), self._mark) if not error else []
        for number in found:
            self._record(source=FOUND + self.check.id, at_s=at_s, ok=True, latency_ms=0.0, value=float(number))
        self._record(
            source=READS + self.check.id,
            at_s=at_s,
            ok=not error,
            latency_ms=answer.latency_ms,
            status=answer.status,
            value=None if error else float(len(found)),
            error=error,
            by=answer.by,
        )
        return not error and expected <= set(found) and len(found) == len(set(found))


def _holds(asked: Access, answer: Answer) -> bool | None:
    """Whether an invariant holds; ``None``: nobody could tell."""
    if asked.kind == "postgresql":
        return answer.body == b"True" if answer.ok else None
    if answer.ok:
        return True
    return None if answer.status is None or answer.status >= 500 else False
