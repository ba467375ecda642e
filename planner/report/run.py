"""One run as the reports need it: plan, evidence, findings, and its observations by experiment."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from executor.errors import InputError
from executor.model.base import why_not
from executor.model.evidence import Event, Evidence, ExperimentResult, Finding, Observation
from executor.model.plan import Experiment, Plan
from executor.state.home import Home
from executor.state.reading import read, regular
from planner.runs import unknown


@dataclass(frozen=True)
class Run:
    """Everything a report says comes from here."""

    plan: Plan
    evidence: Evidence
    findings: tuple[Finding, ...]
    observations: dict[str, tuple[Observation, ...]]
    """By experiment, in the order in which they were meant to start."""

    def experiment(self, result: ExperimentResult) -> Experiment:
        """The experiment that a result belongs to."""
        return next(e for e in self.plan.experiments if e.id == result.experiment)

    def events(self, experiment: str) -> tuple[Event, ...]:
        """What happened in one experiment, in order."""
        return tuple(event for event in self.evidence.timeline if event.experiment == experiment)


def load(home: Home, run: str, findings: tuple[Finding, ...]) -> Run:
    """Read a run from its directory. Raises ``InputError`` if there is no such run or its files were damaged."""
    directory = home.runs / run
    if not (directory / "evidence.json").is_file():
        raise unknown(home, run)
    try:
        plan = Plan.model_validate_json(read(directory / "plan.json"))
        evidence = Evidence.model_validate_json(read(directory / "evidence.json"))
        observations = _observations(directory / "observations.jsonl")
    except (OSError, ValidationError) as error:
        raise InputError(f"the files of run {run} cannot be read: {why_not(error)}.", where=str(directory)) from error
    return Run(plan, evidence, findings, observations)


def _observations(path: Path) -> dict[str, tuple[Observation, ...]]:
    by_experiment: dict[str, list[Observation]] = defaultdict(list)
    if path.is_file():
        with regular(path) as lines:
            for line in lines:
                observation = Observation.model_validate_json(line)
                by_experiment[observation.experiment].append(observation)
    return {name: tuple(sorted(group, key=lambda o: o.at_s)) for name, group in by_experiment.items()}
