"""A run as it happens: one line for each moment that matters, and on a terminal a line that says what goes on now."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.markup import escape

from executor.model.evidence import Event, EventKind
from executor.model.plan import Experiment, Plan
from planner import words
from planner.cli.output import out as terminal

_STYLES: Final = {
    EventKind.INJECTED: "bold",
    EventKind.IMPACT: "yellow",
    EventKind.DETECTED: "cyan",
    EventKind.MITIGATED: "cyan",
    EventKind.RECOVERED: "green",
    EventKind.REVERT_OWED: "bold red",
    EventKind.ABORTED: "magenta",
    EventKind.HALTED: "magenta",
}
_QUIET: Final = (EventKind.ARMED, EventKind.STAGE_STARTED, EventKind.RUN_STARTED, EventKind.PHASE_STARTED)


class Live(AbstractContextManager["Live"]):
    """Call it with each event; may be called from any thread."""

    def __init__(self, plan: Plan, out: Console = terminal) -> None:
        self._plan = plan
        self._out = out
        self._number = {e.id: n for n, e in enumerate(plan.experiments, start=1)}
        self._status = out.status("starting the watchdog, looking whether all is well…")
        self._announced: set[str] = set()

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
        if event.kind not in _QUIET and event.kind is not EventKind.EXPERIMENT_FINISHED:
            self._line(event)

    def _line(self, event: Event) -> None:
        style = _STYLES.get(event.kind, "quiet")
        what = words.named(event.kind.value)
        self._out.print(f"  {event.at_s:7.2f} s  [{style}]{what:<10}[/{style}] {escape(event.detail)}", soft_wrap=True)

    def _experiment(self, event: Event) -> Experiment | None:
        return next((e for e in self._plan.experiments if e.id == event.experiment), None)
