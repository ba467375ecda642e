"""One run as the reports need it: plan, evidence, findings, and its observations by experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from executor.errors import InputError
from executor.measure.columns import Recording
from executor.model.base import why_not
from executor.model.evidence import Event, EventKind, Evidence, ExperimentResult, Finding
from executor.model.plan import Experiment, Plan
from executor.run.observations import load as load_observations
from executor.state.home import Home
from executor.state.reading import read
from knowledge.twin.calibration import Foretold
from planner.cascade.observed import Seen, cascades, system_of
from planner.runs import unknown


@dataclass(frozen=True)
class Run:
    """Everything a report says comes from here."""

    plan: Plan
    evidence: Evidence
    findings: tuple[Finding, ...]
    observations: dict[str, Recording]
    """By experiment."""
    cascades: tuple[Seen, ...] = ()
    """How the failure spread, of each experiment of which that can be told."""
    foretold: Foretold | None = None
    """How good the predictions for this system's runs have been so far; ``None``: not looked at."""

    def experiment(self, result: ExperimentResult) -> Experiment:
        """The experiment that a result belongs to."""
        return self.experiment_named(result.experiment)

    def experiment_named(self, name: str) -> Experiment:
        """The experiment of that id."""
        return next(e for e in self.plan.experiments if e.id == name)

    def events(self, experiment: str) -> tuple[Event, ...]:
        """What happened in one experiment, in order."""
        return tuple(event for event in self.evidence.timeline if event.experiment == experiment)

    def measured(self, experiment: str) -> tuple[str, ...]:
        """What each fault of one experiment told of itself at its end, such as how big it was beside what was asked."""
        told = [event for event in self.events(experiment) if event.kind is EventKind.MEASURED]
        several = len({event.trial for event in told}) > 1
        return tuple(f"{event.action}{f', trial {event.trial}' if several else ''}: {event.detail}" for event in told)


def load(home: Home, run: str, findings: tuple[Finding, ...], foretold: Callable[[str], Foretold] | None = None) -> Run:
    """Read a run from its directory. Raises ``InputError`` if there is no such run or its files were damaged."""
    directory = home.runs / run
    if not (directory / "evidence.json").is_file():
        raise unknown(home, run)
    try:
        plan = Plan.model_validate_json(read(directory / "plan.json"))
        evidence = Evidence.model_validate_json(read(directory / "evidence.json"))
        observations = {result.experiment: _observed(directory, result.experiment) for result in evidence.results}
    except (OSError, ValidationError) as error:
        raise InputError(f"the files of run {run} cannot be read: {why_not(error)}.", where=str(directory)) from error
    told = foretold(plan.system_name) if foretold else None
    return Run(plan, evidence, findings, observations, _cascades(home, evidence), told)


def _cascades(home: Home, evidence: Evidence) -> tuple[Seen, ...]:
    try:
        return cascades(home, evidence, system_of(home, evidence.run))
    except InputError:  # a run that was killed leaves no trials, an old one no system
        return ()


def _observed(directory: Path, experiment: str) -> Recording:
    try:
        return load_observations(directory, experiment)
    except FileNotFoundError:  # what was measured and judged of them is in the evidence
        return Recording()
