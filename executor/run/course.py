"""A run under way: what its parts share, and how it is brought to an end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

import anyio

from executor.clock import Clock
from executor.errors import plain
from executor.faults.behaviour import Behaviour, Record
from executor.measure.judge import Judgement
from executor.measure.records import TrialRecord
from executor.measure.samples import Samples
from executor.model.approval import Approval
from executor.model.evidence import Event, EventKind, Observation, ResolvedTarget, RevertCheck
from executor.model.plan import Experiment, Plan
from executor.model.system import System
from executor.model.vocabulary import Phase
from executor.run.observations import ObservationLog
from executor.run.undoing import Undoing
from executor.safety.halt import Lowered
from executor.safety.limits import Limits
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.state.rows import mark_stem
from executor.undo.guardian import Guardian

WHO = "executor"
Outcome = Literal["completed", "aborted", "halted", "interrupted"]
Report = Callable[[Event], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """Why a run ends before its time."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Held:
    """A fault that is there, or may be, and is kept alive by renewing its lease."""

    injection: Injection
    how: Behaviour
    record: Record | None
    """With what was learned by making it; ``None`` while it is being made."""


@dataclass
class Ran:
    """What one experiment has left so far."""

    trials: list[Samples] = field(default_factory=list)
    """Only until they are judged: they hold every observation."""
    bounds: list[TrialRecord] = field(default_factory=list)
    """Of all trials."""
    reverts: list[RevertCheck] = field(default_factory=list)
    judgement: Judgement | None = None


@dataclass
class Course:
    """One run. Only the engine's thread touches it, but for what says otherwise; others are handed what they need."""

    run: str
    plan: Plan
    approval: Approval
    system: System
    limits: Limits
    home: Home
    journal: Journal
    guardian: Guardian
    clock: Clock
    report: Report
    log: ObservationLog
    scratch: Path
    lowered: Lowered
    """The halt that was over last when the run was asked for: any other has come since."""
    admitted: frozenset[str]
    """Instances that the run was admitted to strike, with those that share a place with what it names."""
    work: anyio.CancelScope | None = None
    """Around all stages; cancelled when the run ends early."""
    ending: Ending | None = None
    order: Ending | None = None
    """What a halt or a stop asks for. Written by the thread that heeds them, before ``closed`` is set."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set once the run is to end: nothing more is injected, and everything is being undone."""
    held: dict[int, Held] = field(default_factory=dict)
    """Faults whose lease is renewed, by injection."""
    making: dict[int, Injection] = field(default_factory=dict)
    """Faults that a thread is making right now, given up on or not. Written by those threads."""
    told: set[int] = field(default_factory=set)
    """Injections whose revert is on the time line."""
    lost: set[int] = field(default_factory=set)
    """Injections whose fault had gone before its time: what was seen meanwhile is not what it does."""
    ran: dict[str, Ran] = field(default_factory=dict)
    """By experiment, those that have begun."""
    timeline: list[Event] = field(default_factory=list)
    targets: dict[ResolvedTarget, None] = field(default_factory=dict)
    guard_cpu_s: float = 0.0
    marks: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock.now()
        self.zero = self.clock.monotonic()
        self.undoing = Undoing(self.journal, self.home, by=WHO)

    def now_s(self) -> float:
        """Seconds since the run started."""
        return self.clock.monotonic() - self.zero

    def next_mark(self) -> str:
        """A name for the next injection that nothing else on this host bears."""
        self.marks += 1
        return f"{mark_stem(self.run)}{self.marks}"

    def observe(self, observation: Observation) -> None:
        """Write an observation down."""
        self.log.write(observation)

    def emit(
        self,
        kind: EventKind,
        *,
        experiment: str | None = None,
        trial: int | None = None,
        action: str | None = None,
        phase: Phase | None = None,
        detail: str = "",
        ago_s: float = 0.0,
    ) -> None:
        """Put a moment, which was ``ago_s`` seconds ago, on the time line and report it."""
        self.tell(
            Event(
                kind=kind,
                at_s=self.now_s() - ago_s,
                wall=self.clock.now() - timedelta(seconds=ago_s),
                experiment=experiment,
                trial=trial,
                action=action,
                phase=phase,
                detail=plain(detail)[:4000],
            )
        )

    def tell(self, event: Event) -> None:
        """Put an event on the time line and report it. A report that raises is not asked again: undoing goes first."""
        self.timeline.append(event)
        try:
            self.report(event)
        except Exception:  # noqa: BLE001 - a broken display must not stop the undoing
            _log.exception("reporting a run's events failed and has ended; the run goes on")
            self.report = _silent

    def end(self, outcome: Outcome, reason: str) -> None:
        """End the run early: everything is reverted. The first reason stands; later ones change nothing."""
        if self.ending is not None:
            return
        self.ending = self.order or Ending(outcome, plain(reason))
        self.closed.set()
        kind = EventKind.HALTED if self.ending.outcome == "halted" else EventKind.ABORTED
        self.emit(kind, detail=self.ending.reason)
        if self.work is not None:
            self.work.cancel()

    def lose(self, injection: Injection, reason: str) -> None:
        """End the run early, since nothing tells since when a fault has been gone."""
        self.lost.add(injection.id)
        self.end("aborted", reason)

    def reached(self, experiment: Experiment) -> Ran:
        """What an experiment has left so far, from its beginning on."""
        return self.ran.setdefault(experiment.id, Ran())


def _silent(_event: Event) -> None:
    """Report nothing."""
