"""The cascades of a run that is over, each beside what was foreseen of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from executor.errors import InputError
from executor.measure.cascade.observed import Cascade, cascade
from executor.model.base import why_not
from executor.model.evidence import Evidence, HypothesisResult
from executor.model.plan import Experiment
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.run.engine import load_evidence
from executor.run.rejudge import recorded
from executor.state.home import Home
from executor.state.reading import read
from knowledge.ledger import Ledger
from knowledge.rows import PastRow
from knowledge.topology.single_points import single_points
from planner.cascade.compare import Comparison, compare
from planner.cascade.predict import Foreseen, edges_of, foresee
from planner.cascade.standing import Standing, standings
from planner.runs import unknown


@dataclass(frozen=True)
class Seen:
    """One experiment's cascade."""

    experiment: Experiment
    cascade: Cascade
    foreseen: tuple[Foreseen, ...]
    compared: Comparison
    bulkheads: tuple[HypothesisResult, ...]
    """Whether endpoints that have nothing to do with what was struck kept their promise."""
    aborted: str
    """Why it was cut short; empty if it was not."""


@dataclass(frozen=True)
class Observed:
    """What a run shows of how failures spread."""

    run: str
    seen: tuple[Seen, ...]
    single_points: tuple[Standing, ...]
    """By what this run says of them."""


def observed(home: Home, run: str) -> Observed:
    """Measure a run's cascades from its recorded observations.

    Raises ``InputError`` if there is no such run, or it has not left what is needed.
    """
    evidence = load_evidence(home, run)
    if evidence is None:
        raise unknown(home, run)
    system = system_of(home, run)
    with Ledger.open(home) as ledger:
        rows = ledger.past_of(run)
    return Observed(run, cascades(home, evidence, system), standings(single_points(system), rows))


def cascades(home: Home, evidence: Evidence, system: System) -> tuple[Seen, ...]:
    """Of every experiment that had its fault in a trial. Raises ``InputError`` as ``observed`` does."""
    found = []
    for experiment, result, trials in recorded(home, evidence):
        measured = cascade(experiment, trials, edges_of(system))
        if measured.trials and measured.struck:
            told = foresee(experiment, system)
            apart = tuple(h for h in result.hypotheses if h.weakness is Weakness.MISSING_BULKHEAD)
            found.append(Seen(experiment, measured, told, compare(told, measured), apart, result.aborted))
    return tuple(found)


def system_of(home: Home, run: str) -> System:
    """The system as it was when it ran. Raises ``InputError`` if the run has kept none."""
    path = home.runs / run / "system.json"
    try:
        return System.model_validate_json(read(path))
    except (OSError, ValidationError) as error:
        raise InputError(f"the run's system cannot be read: {why_not(error)}.", where=run) from error


def suspected(home: Home, system: System) -> tuple[Standing, ...]:
    """The single points that the graph suspects, by what all earlier runs of the system say of them."""
    with Ledger.open(home) as ledger:
        past: Iterable[PastRow] = ledger.past(system.name)
    return standings(single_points(system), past)
