"""Asks checks and signals at a fixed rate, whatever comes back, and writes down every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from executor.measure.counters import CountCalls, counter, read_counters
from executor.measure.samples import window
from executor.measure.stream import Stream, asking
from executor.measure.writing import Writing
from executor.model.data_check import DataCheck
from executor.model.evidence import Observation
from executor.model.probe import Check, DetectionSignal
from executor.model.system import Dependency
from executor.probes.ask import Client, open_client
from executor.probes.hosts import refuse_foreign

SIGNAL_HZ = 5.0
"""Rate at which signals are asked and edge counters read."""
DRAIN_S = 1.0
BEFORE_S = 2.0
"""Longest that is waited for what a data check's first reading, before the fault, brings."""


class Sampler:
    """Open-loop sampling of one trial: a slow answer delays no other, and latency counts from the intended start.

    Run ``run`` in a task group and call ``stop`` at the end of the trial; ``run`` then waits up to ``drain_s`` seconds
    for outstanding answers, records the rest as failed with error ``unanswered``, reads back what data checks have
    written, and returns. When cancelled it records them at once, and reads nothing.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        signals: Sequence[DetectionSignal],
        edges: Sequence[Dependency],
        clock0: float,
        experiment: str,
        sink: Callable[[Observation], None],
        *,
        trial: int = 1,
        hosts: frozenset[str] = frozenset(),
        drain_s: float = DRAIN_S,
        count_calls: CountCalls | None = None,
        data_checks: Sequence[DataCheck] = (),
        mark: str = "",
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """``clock0`` is ``time.monotonic()`` at the start of the run; ``hosts`` those of ``allowed_hosts(system)``.

        ``count_calls`` reads one edge's counter, by default from the fault proxy. ``mark`` tells this trial's records
        from those of all others; while ``may_write`` says no, none is written. Raises ``SafetyRefusalError`` if a probe
        would leave the system; nothing has been asked then.
        """
        asked = [check.probe for check in checks] + [signal.probe for signal in signals]
        for probe in (*asked, *(probe for data_check in data_checks for probe in data_check.probes)):
            refuse_foreign(probe, hosts)
        self._record = partial(self._observe, sink, experiment, trial)
        self._clock0 = clock0
        self._hosts = hosts
        self._drain_s = drain_s
        self._edges = tuple(edges)
        self._count_calls = count_calls
        self._stopping = anyio.Event()
        self._checks = {c.id: self._stream_of(c, c.rate_hz) for c in checks}
        self._signals = {s.id: self._stream_of(s, SIGNAL_HZ) for s in signals}
        self._writings = [Writing(d, f"{mark} {d.id}", clock0, self._record, may_write) for d in data_checks]
        self._client: Client | None = None

    def now_s(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self._clock0

    def recent(self, source: str, n: int) -> list[bool]:
        """The last ``n`` answers of a check or signal, oldest first; an overdue one counts as failed.

        Raises ``KeyError`` if the source is unknown.
        """
        return self._stream(source).rolling.recent(n, self.now_s())

    def under_way(self, source: str) -> int:
        """Askings of a check or signal that have begun and have no answer yet. Raises ``KeyError`` if unknown."""
        return len(self._stream(source).rolling.awaited)

    def age_s(self, source: str) -> float:
        """Seconds since an answer of it last completed: shows a check that has fallen silent."""
        return self._stream(source).rolling.age_s(self.now_s())

    def steady(self, since_s: float) -> bool:
        """Whether every check answered well for a whole window of ``WINDOW_S`` begun at or after ``since_s``."""
        return all(s.rolling.steady(since_s, window(s.rate_hz)) for s in self._checks.values())

    def stop(self) -> None:
        """Ask nothing more. ``run`` returns when what is outstanding has been answered or given up."""
        self._stopping.set()

    async def read_before(self) -> None:
        """Read back what data checks have written so far, so that it is known how the data was before the fault."""
        if self._writings and self._client is not None:
            with anyio.move_on_after(BEFORE_S):
                await self._read_back(self._client)

    async def run(self) -> None:
        """Sample until ``stop``; then settle what is outstanding."""
        writes = [writing.stream for writing in self._writings if writing.stream is not None]
        streams = (*self._checks.values(), *self._signals.values(), *writes)
        async with open_client(self._hosts) as client:
            self._client = client
            try:
                async with anyio.create_task_group() as askings:
                    async with anyio.create_task_group() as loops:
                        for place, stream in enumerate(streams):
                            # spread over the interval, so that the askings do not all hit the machine at one moment
                            offset_s = place / len(streams) / stream.rate_hz
                            loops.start_soon(stream.run, client, askings, offset_s)
                        if self._edges:
                            loops.start_soon(self._count)
                        await self._stopping.wait()
                        loops.cancel_scope.cancel()
                    askings.cancel_scope.deadline = anyio.current_time() + self._drain_s
            finally:
                for stream in streams:
                    stream.give_up()
            await self._read_back(client, settling=True)

    async def _read_back(self, client: Client, *, settling: bool = False) -> None:
        async with anyio.create_task_group() as readings:
            for writing in self._writings:
                settle_s = writing.check.settle_s if settling else 0.0
                readings.start_soon(writing.read_back, client, self.now_s, settle_s)

    async def _count(self) -> None:
        while True:
            at_s = self.now_s()
            read = partial(read_counters, self._edges, self._count_calls)
            for edge, calls in zip(self._edges, await anyio.to_thread.run_sync(read), strict=True):
                took_ms = (self.now_s() - at_s) * 1000
                source = counter(edge.caller, edge.callee)
                self._record(source=source, at_s=at_s, ok=calls is not None, latency_ms=took_ms, value=calls)
            await anyio.sleep(max(0.0, at_s + 1 / SIGNAL_HZ - self.now_s()))

    def _stream_of(self, asked: Check | DetectionSignal, rate_hz: float) -> Stream:
        timeout_ms = asked.probe.timeout_ms
        return Stream(asked.id, asking(asked.probe), rate_hz, self._clock0, self._record, timeout_ms=timeout_ms)

    def _stream(self, source: str) -> Stream:
        return self._checks.get(source) or self._signals[source]

    @staticmethod
    def _observe(sink: Callable[[Observation], None], experiment: str, trial: int, **fields: Any) -> None:
        sink(Observation(experiment=experiment, trial=trial, **fields))
