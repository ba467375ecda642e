"""One caller's connection through the proxy: the caller's wire, the callee's, and what strikes the bytes between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from executor.proxy import line
from executor.proxy.faults import Fault, delayed, silence
from executor.proxy.transactions import Transactions
from executor.proxy.wire import Wire, changed

if TYPE_CHECKING:
    from executor.proxy.edge import Edge

QUIET_S: Final = 1.0
"""For so long nothing has passed on a connection that cannot be read, if nothing is under way on it."""


class Link:
    """Both ends of one proxied connection."""

    def __init__(self, edge: Edge, client: Wire, *, hurt: bool = True) -> None:
        self.edge = edge
        self.client = client
        self.hurt = hurt
        """Whether it belongs to the caller that faults are meant for; a bystander's connection is only carried."""
        self.upstream: Wire | None = None
        self.task: asyncio.Task[None] | None = None
        """Who carries it."""
        self.tunnelled = False
        self.in_exchange = False
        """Whether a request is under way."""
        self.farewell: Callable[[], None] | None = None
        """Asks the caller to make its next calls on another connection, where the protocol has words for that."""
        self.transactions: Transactions | None = None
        """Of what is tunnelled, if it is a session of PostgreSQL."""
        self._callee_spoke_last = True
        self._spoke_at = 0.0
        """Loop time at which either end last did."""
        self._struck: dict[Fault, bool] = {}
        self._answered_bytes: dict[Fault, int] = {}

    @property
    def callee(self) -> Wire:
        """The callee's wire; only asked for once connected."""
        assert self.upstream is not None
        return self.upstream

    @property
    def faults(self) -> list[Fault]:
        """Faults in force for this connection, oldest first."""
        return list(self.edge.faults) if self.hurt else []

    @property
    def idle(self) -> bool:
        """Whether nothing is under way on it, so that closing it loses nothing.

        In bytes that cannot be read, what looks like an answer may be one in the middle of more (a transaction, say):
        a bystander's must have been quiet for a while.
        """
        if self.upstream is None or self.client.waiting or self.upstream.waiting or self.in_exchange:
            return False
        if not self.transactions:
            return True
        if (under_way := self.transactions.under_way) is not None:
            return not under_way
        quiet_s = asyncio.get_running_loop().time() - self._spoke_at
        return self._callee_spoke_last and (self.hurt or quiet_s >= QUIET_S)

    def strikes(self, fault: Fault) -> bool:
        """Whether ``fault`` strikes this connection as a whole: the dice are thrown once for each."""
        if fault not in self._struck:
            self._struck[fault] = fault.unconditional and fault.strikes()
            self.edge.faulted += self._struck[fault]
        return self._struck[fault]

    def struck_by(self, *kinds: str) -> list[Fault]:
        """Faults of these kinds in force that strike this connection as a whole."""
        return [fault for fault in self.faults if fault.spec.kind in kinds and self.strikes(fault)]

    def burst_arrived(self) -> None:
        """The caller sent bytes. A burst after the callee's last word counts as one call."""
        self._spoke_at = asyncio.get_running_loop().time()
        if self.transactions:
            self.transactions.asked()
        if self._callee_spoke_last:
            self._callee_spoke_last = False
            self.edge.count_call(self)

    def burst_answered(self, data: bytes) -> None:
        """The callee sent these bytes."""
        self._spoke_at = asyncio.get_running_loop().time()
        if self.transactions:
            self.transactions.answered(data)
        self._callee_spoke_last = True

    async def gate_call(self, arrived_at: float, statements: int | None) -> None:
        """Let a burst through to the callee: late, never, or with a reset, as the faults want it.

        ``statements`` begin in it; ``None``: that cannot be told, and then it counts as one.
        """
        if delays := self.struck_by("delay"):
            due = arrived_at + sum(fault.delay_s() for fault in delays)
            await delayed(delays, max(0.0, due - asyncio.get_running_loop().time()))
        if (count := 1 if statements is None else statements) and (delays := self.struck_by("delay_statement")):
            # One after the other, as the database would carry them out, however early they arrived.
            await delayed(delays, count * sum(fault.delay_s() for fault in delays), times=count)
        if any(not fault.spec.after_bytes for fault in self.struck_by("reset", "refuse")):
            raise ConnectionResetError
        await self.gate_silence()

    async def gate_answer(self, data: bytes) -> None:
        """Send ``data`` to the caller, unless silence or a reset is due."""
        for fault in self.struck_by("reset", "hang"):
            if fault.spec.after_bytes:
                left = fault.spec.after_bytes - self._answered_bytes.get(fault, 0)
                self._answered_bytes[fault] = self._answered_bytes.get(fault, 0) + len(data)
                if len(data) > left:
                    await self.to_caller(data[: max(0, left)])
                    if fault.spec.kind == "hang":
                        await self.hold_until_gone([fault])
                    raise ConnectionResetError
        await self.gate_silence()
        await self.to_caller(data)

    async def to_caller(self, data: bytes) -> None:
        """Send to the caller, as the line lets it through."""
        await line.send(self.client, data, self.faults, "answers")

    async def to_callee(self, data: bytes) -> None:
        """Send to the callee, as the line lets it through."""
        await line.send(self.callee, data, self.faults, "calls")

    async def more(self, source: Wire) -> bytes:
        """Bytes from one end, once there are some; empty if it has ended. Raises ``ConnectionResetError`` if lost."""
        while not source.waiting:
            if self.client.lost or source.lost:
                raise ConnectionResetError
            if source.ended:
                return b""
            await changed(self.client, source)
        return source.take()

    async def gate_silence(self) -> None:
        """Hold everything while a black hole is in force; when it goes, the connection is cut."""
        if silent := [fault for fault in self.struck_by("hang", "blackhole") if not fault.spec.after_bytes]:
            await self.hold_until_gone(silent)

    async def hold_until_gone(self, faults: list[Fault]) -> None:
        """Answer nothing until a fault or the caller ends. Raises ``ConnectionResetError`` then."""
        waits = [asyncio.ensure_future(_ended(self.client)), asyncio.ensure_future(silence(faults))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        raise ConnectionResetError

    def reset(self) -> None:
        """Cut both ends with a TCP reset."""
        self.client.reset()
        if self.upstream:
            self.upstream.reset()

    def cut(self) -> None:
        """The same, also while the callee is still being reached."""
        self.reset()
        if self.task:
            self.task.cancel()

    def close(self) -> None:
        """Close both ends once everything sent has left."""
        self.client.close()
        if self.upstream:
            self.upstream.close()


async def _ended(wire: Wire) -> None:
    while not wire.ended:
        await changed(wire)
