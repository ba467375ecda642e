"""How resilient a system is by its recorded runs: score, coverage, other tools' scores, and the trend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from executor.errors import InputError
from executor.model.system import System
from executor.state.home import Home
from executor.state.reading import read
from experts.playbook import base_rates
from knowledge.ledger import Ledger
from knowledge.resilience.comparison import krkn, litmus
from knowledge.resilience.score import Coverage, Score, score, services
from knowledge.resilience.scoring import Scoring
from knowledge.resilience.trends import Trends, trends
from knowledge.rows import PastRun
from planner.runs import none_yet, unknown


@dataclass(frozen=True)
class Scored:
    """What one run says of a system's resilience."""

    run: PastRun
    system: Score | None
    """``None``: nothing was measured, so there is no score."""
    services: tuple[Score, ...]
    coverage: Coverage | None
    """Of the whole system; ``None``: the run has kept no system to tell by."""
    coverages: dict[str, Coverage]
    """By service: hypotheses at it, or at an edge that begins or ends there."""
    litmus: float | None
    krkn: int | None


def scored(home: Home, run: str | None, scoring: Scoring) -> Scored:
    """The score of a run, by default the latest. Raises ``InputError`` if there is no such run."""
    with Ledger.open(home) as ledger:
        runs = {each.run: each for each in ledger.runs()}
        if not runs:
            raise none_yet()
        found = runs.get(run) if run else list(runs.values())[-1]
        if found is None:
            assert run is not None  # else there is one
            raise unknown(home, run)
        measures = ledger.measures_of(found.run)
        results = ledger.past_of(found.run)
    applicable = _applicable(home.runs / found.run / "system.json")
    tested = {(row.weakness, row.place) for row in results if row.decided}
    places = {} if applicable is None else {name: _at(name, applicable | tested) for name in _services(applicable)}
    return Scored(
        run=found,
        system=score(found.system, measures, scoring),
        services=services(measures, scoring),
        coverage=None if applicable is None else Coverage(len(tested), len(applicable | tested)),
        coverages={name: Coverage(len(at & tested), len(at)) for name, at in places.items()},
        litmus=litmus(results),
        krkn=krkn(measures),
    )


def over_time(home: Home, system: str | None, scoring: Scoring) -> tuple[str, Trends]:
    """The runs of a system, by default of the one that was run last. Raises ``InputError`` if it never was."""
    with Ledger.open(home) as ledger:
        runs = ledger.runs()
        if not runs:
            raise none_yet()
        name = system or runs[-1].system
        own = [run for run in runs if run.system == name]
        if not own:
            known = ", ".join(sorted({run.system for run in runs}))
            raise InputError(f"there is no run of a system named {name}.", hint=f"There are runs of {known}.")
        return name, trends(own, ledger.measures(name), ledger.past(name), scoring)


_Hypotheses = frozenset[tuple[object, str]]


def _applicable(path: Path) -> _Hypotheses | None:
    """What could be asked of the system as it was then: each weakness that some playbook sees at a place."""
    try:
        return frozenset(base_rates(System.model_validate_json(read(path))))
    except (OSError, ValidationError):
        return None


def _services(applicable: _Hypotheses) -> set[str]:
    return {name for _, place in applicable for name in place.split("->")}


def _at(service: str, hypotheses: _Hypotheses) -> _Hypotheses:
    return frozenset(each for each in hypotheses if service in each[1].split("->"))
