"""How exactly times of detection and recovery are measured: ``python -m bench.recovery``. A minute.

Each row is a real service in a process of its own that fails, notices and recovers at moments it has written down
(``bench.recovering``), asked by the sampler that runs use. ``error`` is measured − true; it should stay within one
sampling interval (of the check, or of signals) and the time of an answer, which is how wide the figure's own interval
is; that should hold the true time, whatever else the machine does. The last column has the parts of the recovery, each
measured (true), in seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from bench.recovering import PROMISED_S, Script
from executor.measure.columns import Recording
from executor.measure.detection import SAID_WELL_MIN
from executor.measure.records import TrialRecord
from executor.measure.sampler import SIGNAL_HZ, Sampler
from executor.measure.samples import WINDOW_S, Samples
from executor.measure.times import times
from executor.model.criteria import RecoversWithin
from executor.model.evidence import Figure
from executor.model.faults.service import Hang
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, DetectionSignal, HttpProbe, Slo
from executor.model.vocabulary import Weakness

RATE_HZ = 20.0
ROOT = Path(__file__).parents[1]
HEAD = (
    "| outage | detected, true | measured | error | recovered, true | measured | error | held by the intervals | "
    "parts |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Case:
    """One outage. ``held_s``: how long Murphy holds the fault, after which recovery counts; 0: it ends by itself."""

    name: str
    script: Script
    held_s: float = 0.0
    promised_s: float = PROMISED_S


CASES = (
    Case("refuses, restarts", Script(detected_s=0.3, back_s=0.9, reached_s=0.9, quick_s=0.9)),
    Case("refuses, late detection", Script(detected_s=1.35, back_s=1.75, reached_s=1.8, quick_s=1.8)),
    Case("refuses, slow fail-over", Script(detected_s=0.5, back_s=2.6, reached_s=2.8, quick_s=2.8)),
    Case("refuses, slow reconnect", Script(detected_s=0.45, back_s=0.8, reached_s=2.45, quick_s=2.45)),
    Case("refuses, cold afterwards", Script(detected_s=0.25, back_s=0.75, reached_s=1.0, quick_s=3.05)),
    Case("hangs, backlog", Script(detected_s=0.4, back_s=1.5, reached_s=1.6, quick_s=1.6, piles_up=True)),
    Case("held, back at once", Script(detected_s=0.65, back_s=2.0, reached_s=2.0, quick_s=2.0), held_s=2.0),
    Case("held, slow restart", Script(detected_s=0.65, back_s=3.4, reached_s=3.6, quick_s=3.6), held_s=2.0),
)


@dataclass(frozen=True)
class Row:
    """What was true and what was measured, seconds."""

    case: Case
    figures: dict[str, Figure]
    truth: dict[str, float]
    """By the figure's name."""

    def error_s(self, name: str) -> float:
        return self.figures[name].value - self.truth[name]

    def holds(self, name: str) -> bool:
        """Whether the figure's interval holds the true value."""
        figure = self.figures[name]
        assert figure.low is not None and figure.high is not None
        return figure.low - 1e-9 <= self.truth[name] <= figure.high + 1e-9

    def width_s(self, name: str) -> float:
        """Of the figure's interval: one sampling interval and the time of an answer."""
        figure = self.figures[name]
        assert figure.low is not None and figure.high is not None
        return figure.high - figure.low

    def line(self) -> str:
        mttr = "mttr_from_revert" if self.case.held_s else "mttr"
        cells = [self.case.name]
        for name in ("mttd", mttr):
            cells += [f"{self.truth[name]:.2f} s", f"{self.figures[name].value:.3f} s"]
            cells.append(f"{self.error_s(name) * 1000:+.0f} ms")
        cells.append("yes" if self.holds("mttd") and self.holds(mttr) else "**no**")
        parts = [(n.removeprefix("recovery_"), n) for n in self.truth if n.startswith("recovery_")]
        cells.append(", ".join(f"{said} {self._value(n):.2f} ({self.truth[n]:.2f})" for said, n in parts))
        return f"| {' | '.join(cells)} |"

    def _value(self, name: str) -> float:
        return self.figures[name].value if name in self.figures else 0.0


async def measured(case: Case) -> Row:
    """Have the outage, and measure it."""
    recording = Recording()
    with _service() as service:
        asked = _experiment(int(_line(service)), Slo(latency_ms_max=1000 * case.promised_s))
        clock0 = time.monotonic()
        sampler = Sampler(asked.checks, asked.signals, (), clock0, asked.id, recording.add)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sampler.run)
            while not (sampler.steady(0) and len(sampler.recent("health", SAID_WELL_MIN + 2)) > SAID_WELL_MIN + 1):
                await anyio.sleep(0.05)
            assert service.stdin is not None
            service.stdin.write(json.dumps(asdict(case.script)) + "\n")
            service.stdin.flush()
            began = json.loads(await anyio.to_thread.run_sync(partial(_line, service)))["began"]
            if case.script.piles_up:
                quick_s = json.loads(await anyio.to_thread.run_sync(partial(_line, service)))["in_time"] - began
            else:
                quick_s = case.script.quick_s
            await anyio.sleep(max(0.0, began + quick_s + 1.3 * WINDOW_S - time.monotonic()))
            sampler.stop()
        end_s = time.monotonic() - clock0
    injected_s = began - clock0
    reverted_s = injected_s + case.held_s if case.held_s else end_s
    record = TrialRecord(1, 0.0, injected_s, reverted_s, end_s)
    figures = {figure.name: figure for figure in times(asked, [Samples(record, recording)])}
    return Row(case, figures, _truth(case, quick_s))


def _truth(case: Case, quick_s: float) -> dict[str, float]:
    """What the figures should say."""
    script, begin_s = case.script, case.held_s
    detected_s = 0.0 if begin_s else script.detected_s
    found = {"mttd": script.detected_s, "mttr": quick_s, "mttr_from_revert": quick_s - begin_s}
    if not begin_s:
        found["recovery_detection"] = detected_s
    found["recovery_failover"] = script.back_s - max(begin_s, detected_s)
    found["recovery_reconnect"] = script.reached_s - script.back_s
    if script.piles_up:
        found["recovery_drain"] = quick_s - script.reached_s
    else:
        found["recovery_warm_up"] = quick_s - script.reached_s
    return found


def _experiment(port: int, slo: Slo) -> Experiment:
    hypothesis = Hypothesis(
        id="h1",
        weakness=Weakness.SLOW_OR_MISSING_RECOVERY,
        place="front",
        statement="front recovers",
        criteria=(RecoversWithin(checks=("front",), within_s=5),),
        prediction=Prediction(probability_breaks=0.5),
    )
    probe = HttpProbe(url=f"http://127.0.0.1:{port}/")
    return Experiment(
        id="e1",
        title="an outage that is written down",
        hypotheses=(hypothesis,),
        checks=(Check(id="front", service="front", probe=probe, rate_hz=RATE_HZ, slo=slo),),
        signals=(DetectionSignal(id="health", service="front", probe=HttpProbe(url=f"{probe.url}health")),),
        actions=(Action(id="a1", fault=Hang(), target=InstanceTarget(service="front"), duration_s=5),),
        abort_conditions="none",
    )


@contextmanager
def _service() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.recovering"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(service: subprocess.Popen[str]) -> str:
    assert service.stdout is not None
    return service.stdout.readline()


def main() -> None:
    print(f"Sampling intervals: checks {1000 / RATE_HZ:.0f} ms, signals {1000 / SIGNAL_HZ:.0f} ms.\n\n{HEAD}")
    rows: list[Row] = []
    for case in CASES:
        rows.append(anyio.run(measured, case))
        print(rows[-1].line(), flush=True)
    for name in ("mttd", "mttr"):
        worst = max(abs(row.error_s(name)) for row in rows)
        widest = max(row.width_s(name) for row in rows)
        print(f"\nLargest error of {name}: {worst * 1000:.0f} ms; widest interval: {widest * 1000:.0f} ms.")


if __name__ == "__main__":
    main()
