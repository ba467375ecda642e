"""The helper of service.overload that looks for the largest rate an instance carries, and at what it does beyond.

``python -m executor.faults.service.search HOLDER TICKS DEADLINE OUT JOB``. ``OUT`` gets a line for each step
(``executor.measure.capacity.steps``), the last of which is ``{"ended": "done"}``; then it waits until it is ended. What
it sends never exceeds the fault's own rate, and it lives by its lease.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from executor.faults.service.usage import Meter
from executor.kernel import child
from executor.load.generator import Generator
from executor.load.lease import ended, unhindered
from executor.load.profile import Segment, arrivals, constant
from executor.load.recorder import Recorder
from executor.load.request import Request
from executor.load.window import Window
from executor.measure.capacity.hysteresis import hysteresis
from executor.measure.capacity.level import drain_s
from executor.measure.capacity.search import MaximumSearch
from executor.measure.capacity.steps import Part, Promise, Step, Usage, outcome

_LEAD_S = 0.05
"""Until the first request is due: it would be late if it were now."""
_CATCH_UP_S, _BURST = 0.1, 20
"""What may be due at once after the helper itself was held up: so many seconds of it, or so many requests."""
_USAGE_S = 0.2
_TURNS = 3
"""How often a rate is tried that could not be told, or could not be made in time on a busy machine."""
_DRAIN_MAX_S = 15.0
"""How long a service is left alone at most to work off what waits."""
_LONGEST_S = 60.0
_CURVE: Final = (0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.84, 0.96, 1.1, 1.25, 1.5, 1.8)
"""Rates whose latency and goodput make the curve, as shares of the largest that was carried."""
_CURVE_S = 1.5
"""How long each of them is looked at after its warm-up."""
_NEAR = 0.04
"""A rate of the curve that has been looked at already, by this share."""
_USUAL, _OVERLOAD = 0.5, 1.6
"""What comes before and after an overload, and the overload, as shares of the largest rate that was carried."""
_BEFORE_S, _OVERLOAD_S, _AFTER_S = 1.2, 1.0, 4.0
_PATIENT_S = 10.0
"""How long it is watched after it while it has not come back: a breaker that is open closes again within that."""
_CALM = 5
"""Windows in a row without a failure after which a service that turned requests away takes them again."""


class Search:
    """One search, from its first rate to what becomes of an overload."""

    def __init__(self, job: dict[str, Any], out: TextIO, over: Callable[[], bool]) -> None:
        """``over`` says whether the lease has ended."""
        load = job["load"]
        self._wanted = load["search"]
        self._most_rps, self._concurrency = load["rate_rps"], load["concurrency"]
        self._promise = Promise(self._wanted["good_within_ms"] / 1000, self._wanted["good_share"])
        self._request = Request(
            job["address"], job["port"], load["method"], load["path"], load["body"], load["content_type"]
        )
        self._meter = Meter(job["pid"], job["ticks"])
        self._out, self._lapsed = out, over
        self._gone = False
        """Whether the instance has ended: there is nothing more to find."""
        self._carried: list[float] = []
        """Rates of the search that were carried."""

    async def run(self) -> None:
        """All steps; ends early when the lease does."""
        search = MaximumSearch(self._wanted["start_rps"], self._most_rps, resolution=self._wanted["resolution"])
        while (rate_rps := search.next_rps()) is not None and not self._over():
            for _ in range(_TURNS):
                step = await self._step("search", rate_rps, (constant(rate_rps, _LONGEST_S),))
                came = outcome(step.windows, rate_rps, self._promise, self._concurrency)
                if came in ("stable", "violated") or self._over():
                    break
            search.settle(rate_rps, came)
            self._carried += [rate_rps] if came == "stable" else []
        carried_rps = search.result().low_rps
        if carried_rps is not None:
            await self._curve(carried_rps)
            await self._after(carried_rps)

    def _over(self) -> bool:
        return self._lapsed() or self._gone

    async def _curve(self, carried_rps: float) -> None:
        for share in _CURVE:
            rate_rps = share * carried_rps
            near = any(abs(rate_rps - seen) <= _NEAR * seen for seen in self._carried)
            if not near and 1 <= rate_rps <= self._most_rps and not self._over():
                seconds = self._promise.warmup_s + max(_CURVE_S, 8 * self._window_s(rate_rps))
                await self._step("curve", rate_rps, (constant(rate_rps, seconds),))

    async def _after(self, carried_rps: float) -> None:
        usual_rps = _USUAL * carried_rps
        overload_rps = min(self._most_rps, _OVERLOAD * carried_rps)
        before_s = _BEFORE_S + self._promise.warmup_s
        long_s = max(1.0, 10 * self._window_s(usual_rps) / _OVERLOAD_S)
        profile = (
            constant(usual_rps, before_s * long_s),
            constant(overload_rps, _OVERLOAD_S * long_s),
            constant(usual_rps, max(_AFTER_S * long_s, _PATIENT_S)),
        )
        least_s = (before_s + _OVERLOAD_S + _AFTER_S) * long_s
        if not self._over():
            await self._step("after", usual_rps, profile, least_s)

    async def _step(self, part: Part, rate_rps: float, profile: Sequence[Segment], least_s: float = 0.0) -> Step:
        """Send one profile, or one rate until it is told; write it down, and let the service work off what waits.

        What comes ``after`` an overload is over, from ``least_s`` on, once the service has come back.
        """
        test = self._promise.test()
        windows: list[Window] = []
        usage: list[Usage] = []
        between = (profile[0].seconds, profile[0].seconds + profile[1].seconds) if len(profile) == 3 else None
        enough = False

        def record(window: Window) -> None:
            nonlocal enough
            if enough:
                return
            windows.append(window)
            if part == "search":
                test.add(window)
                enough = test.over
            elif between and window.end_s >= least_s and window.good:  # judging takes long enough to make requests late
                enough = hysteresis(windows, between).verdict == "recovers"

        self._meter.look(0.0)  # from here on processor time is counted
        await self._send(record, rate_rps, profile, lambda: self._over() or enough, usage)
        self._gone = not usage[-1].alive
        seconds = None if part == "search" else sum(each.seconds for each in profile)
        step = Step(part, rate_rps, tuple(windows), tuple(usage), seconds, between)
        self._out.write(step.line() + "\n")
        self._out.flush()
        if windows:
            await asyncio.sleep(min(_DRAIN_MAX_S, drain_s(windows[-1])))
            if self._carried and any(each.failed for each in windows):
                await self._calm(_USUAL * max(self._carried))
        return step

    async def _calm(self, rate_rps: float) -> None:
        """Wait until it takes again what it carries: while a breaker is open the next rate would look too large."""
        well = 0

        def record(window: Window) -> None:
            nonlocal well
            well = 0 if window.failed or window.good < window.due else well + bool(window.due)

        profile = (constant(rate_rps, _DRAIN_MAX_S),)
        await self._send(record, rate_rps, profile, lambda: self._over() or well >= _CALM)

    async def _send(
        self,
        record: Callable[[Window], None],
        rate_rps: float,
        profile: Sequence[Segment],
        over: Callable[[], bool],
        usage: list[Usage] | None = None,
    ) -> None:
        """Send a profile until it or ``over`` ends it; ``usage`` gets what the instance uses meanwhile."""
        loop = asyncio.get_running_loop()
        begun = loop.time() + _LEAD_S
        recorder = Recorder(record, begun, self._window_s(rate_rps), good_within_s=self._promise.good_within_s)
        most_rps = max(each.end_rps for each in profile)
        generator = Generator(
            self._request,
            keep_alive=True,
            concurrency=self._concurrency,
            timeout_s=10.0,
            catch_up_s=min(1.0, max(_CATCH_UP_S, _BURST / most_rps)),
            record=recorder,
        )
        beside = asyncio.create_task(self._watch(recorder, usage, begun, self._window_s(rate_rps)))
        await generator.run(arrivals(profile), begun, over)
        beside.cancel()
        if usage is not None:
            usage.append(self._meter.look(loop.time() - begun))
        recorder.flush(loop.time(), all_until=loop.time())

    async def _watch(self, recorder: Recorder, usage: list[Usage] | None, begun: float, window_s: float) -> None:
        loop = asyncio.get_running_loop()
        look_s = loop.time() + _USAGE_S
        while True:
            await asyncio.sleep(window_s / 4)
            recorder.flush(loop.time())
            if usage is not None and loop.time() >= look_s:
                usage.append(self._meter.look(loop.time() - begun))
                look_s = loop.time() + _USAGE_S

    def _window_s(self, rate_rps: float) -> float:
        """Some requests in each window, and none so long that a rate takes minutes."""
        return min(1.0, max(0.1, 4 / rate_rps))


async def _search(lease: child.Lease, job: dict[str, Any], out: TextIO) -> None:
    over = ended(lease)
    await Search(job, out, over).run()
    out.write(json.dumps({"ended": "lease" if over() else "done"}) + "\n")
    out.flush()


def main() -> None:
    """The helper: search, write down, and wait to be ended."""
    lease, (out, job) = child.lease(sys.argv[1:])
    unhindered()
    with Path(out).open("w", encoding="ascii") as file:
        child.ready()
        asyncio.run(_search(lease, json.loads(job), file))
    while lease.wait(1.0):
        pass


if __name__ == "__main__":
    main()
