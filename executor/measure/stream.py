"""One source asked at a fixed rate, open loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from executor.measure.rolling import Rolling
from executor.model.probe import Probe
from executor.probes.answer import Answer
from executor.probes.ask import Client, ask

OUTSTANDING_MAX = 128
"""Askings of one source under way at once; one more is recorded as failed, never left out."""
OVERDUE_S = 0.5
"""A record that could not be written for so long is not: who stood still must not catch up on all at once."""
Asking = Callable[[Client, int], Awaitable[Answer]]
"""Asks once; the number rises by one from 0."""


def asking(probe: Probe) -> Asking:
    """The same probe each time."""

    async def once(client: Client, _number: int) -> Answer:
        return await ask(probe, client)

    return once


class Stream:
    """Asks ``rate_hz`` times a second. Every asking that was due is recorded exactly once."""

    def __init__(
        self,
        source: str,
        asked: Asking,
        rate_hz: float,
        clock0: float,
        record: Callable[..., None],
        *,
        timeout_ms: float,
        numbered: bool = False,
    ) -> None:
        """``record`` takes the fields of each observation; ``clock0`` is the run's start, monotonic seconds.

        ``timeout_ms`` is the longest that ``asked`` takes; ``numbered``: it writes, each observation's value
        is its number, and one that is overdue by more than ``OVERDUE_S`` is left out and recorded as failed.
        """
        self.source = source
        self.rate_hz = rate_hz
        self._asked = asked
        self._clock0 = clock0
        self._record = record
        self._numbered = numbered
        self.rolling = Rolling(self.now_s(), timeout_ms / 2000)

    def now_s(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self._clock0

    async def run(self, client: Client, askings: anyio.abc.TaskGroup, offset_s: float) -> None:
        """Start an asking whenever one is due, until cancelled. The askings live in ``askings``, not here."""
        begin_s = self.now_s() + offset_s
        slot = 0
        while True:
            due_s = begin_s + slot / self.rate_hz
            await anyio.sleep(max(0.0, due_s - self.now_s()))
            self.rolling.expect(slot, due_s)
            if len(self.rolling.awaited) > OUTSTANDING_MAX:
                self._settle(slot, ok=False, error=f"overflow: {OUTSTANDING_MAX} askings under way")
            elif self._numbered and self.now_s() - due_s > OVERDUE_S:
                self._settle(slot, ok=False, error="not written: overdue")
            else:
                askings.start_soon(self._ask, client, slot)
            slot += 1

    def give_up(self) -> None:
        """Record whatever is still awaited as failed."""
        for slot in list(self.rolling.awaited):
            self._settle(slot, ok=False, error="unanswered")

    async def _ask(self, client: Client, slot: int) -> None:
        answer = await self._asked(client, slot)
        self._settle(slot, ok=answer.ok, status=answer.status, error=answer.error, by=answer.by)

    def _settle(self, slot: int, *, ok: bool, status: int | None = None, error: str = "", by: str = "") -> None:
        at_s, now_s = self.rolling.awaited[slot], self.now_s()
        self.rolling.settle(slot, ok, now_s)
        self._record(
            source=self.source,
            at_s=at_s,
            ok=ok,
            latency_ms=max(0.0, now_s - at_s) * 1000,
            status=status,
            value=float(slot) if self._numbered else None,
            error=error,
            by=by,
        )
