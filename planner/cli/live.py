"""A run as it happens: one line for each moment that matters, and on a terminal a line that says what goes on now."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.markup import escape

from executor.model import wording
from executor.model.evidence import Event, EventKind
from executor.model.plan import Experiment, Plan
from executor.model.vocabulary import Verdict
from planner.cli.output import out as terminal

_SHOWN: Final = {
    EventKind.STEPPED: "quiet",
    EventKind.INJECTED: "bold",
    EventKind.MEASURED: "quiet",
    EventKind.REVERTED: "quiet",
    EventKind.REVERT_OWED: "breaks",
    EventKind.ABORTED: "aborted",
    EventKind.HALTED: "aborted",
    EventKind.RUN_FINISHED: "quiet",
}
"""What is told the moment it happens."""
_SEEN_AFTERWARDS: Final = (EventKind.IMPACT, EventKind.DETECTED, EventKind.MITIGATED, EventKind.RECOVERED)
"""What the records of an experiment say once it is over; told in one line, in order of time."""


class Live(AbstractContextManager["Live"]):
    """Call it with each event; may be called from any thread."""

    def __init__(self, plan: Plan, out: Console = terminal) -> None:
        self._plan = plan
        self._out = out
        self._number = {e.id: n for n, e in enumerate(plan.experiments, start=1)}
        self._status = out.status("starting the watchdog, looking whether all is well…")
        self._announced: set[str] = set()
        self._injected_s: dict[str, float] = {}
        self._seen: dict[str, list[Event]] = {}

    def __enter__(self) -> Live:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        experiment = self._experiment(event)
        if experiment is not None and experiment.id not in self._announced:
            self._announced.add(experiment.id)
            of = len(self._plan.experiments)
            self._out.print(f"\n[head]{self._number[experiment.id]}/{of}  {escape(experiment.title)}[/head]")
        if event.phase is not None and experiment is not None:
            trial = f", trial {event.trial}" if experiment.trials > 1 else ""
            self._status.update(f"{escape(experiment.title)}: {event.phase.value}{trial}")
        if event.kind in _SEEN_AFTERWARDS:
            self._seen.setdefault(event.experiment or "", []).append(event)
        elif event.kind is EventKind.EXPERIMENT_FINISHED and experiment is not None:
            self._look_back(experiment)
            self._verdicts(experiment, event.detail)
        elif event.kind in _SHOWN:
            if event.kind is EventKind.INJECTED:
                self._injected_s.setdefault(event.experiment or "", event.at_s)
            style = _SHOWN[event.kind]
            what = f"[{style}]{wording.named(event.kind.value):<8}[/{style}]"
            self._out.print(f"  {event.at_s:7.2f} s  {what}  {escape(event.detail)}", soft_wrap=True)

    def _look_back(self, experiment: Experiment) -> None:
        since_s = self._injected_s.get(experiment.id)
        seen = sorted(self._seen.get(experiment.id, ()), key=lambda event: event.at_s)
        if since_s is None or not seen:
            return
        told = "; ".join(f"{event.detail} after {wording.duration(max(0.0, event.at_s - since_s))}" for event in seen)
        self._out.print(f"             {escape(told)}", style="quiet", soft_wrap=True)

    def _verdicts(self, experiment: Experiment, said: str) -> None:
        """One line a hypothesis; ``said`` is ``id verdict; id verdict``."""
        verdicts = dict(pair.rsplit(" ", 1) for pair in said.split("; ") if " " in pair)
        for hypothesis in experiment.hypotheses:
            verdict = verdicts.get(hypothesis.id, Verdict.INCONCLUSIVE.value)
            weakness = wording.named(hypothesis.weakness.value)
            line = f"             [{verdict}]{verdict:<12}[/{verdict}] {weakness} at {escape(hypothesis.place)}"
            self._out.print(line, soft_wrap=True)

    def _experiment(self, event: Event) -> Experiment | None:
        return next((e for e in self._plan.experiments if e.id == event.experiment), None)
