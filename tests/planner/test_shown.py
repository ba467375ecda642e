"""Types of faults that have shown a weakness here count for more at the next place, and those that did not for less."""

from __future__ import annotations

import pytest

from executor.model.faults.service import Error
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, PastResult
from knowledge.sensitivity import sensitivity
from planner.shown import shows
from planner.worth import Told, worth
from tests.planner.systems import bazaar, brief_for, compiled, proposal

HARD = Weakness.HARD_DEPENDENCY


def past(place: str, verdict: Verdict, *types: str, system: str = "bazaar", similarity: float = 1.0) -> PastResult:
    return PastResult(
        run="run-1",
        system=system,
        experiment="e",
        weakness=HARD,
        place=place,
        fault="service.error status=404",
        verdict=verdict,
        reason="so it was",
        similarity=similarity,
        types=types,
    )


FOUND = (past("app->cache", Verdict.HOLDS, "server_error"), past("app->cache", Verdict.BREAKS, "client_error"))


def test_where_it_was_found_the_types_that_showed_it_and_those_that_did_not_move_the_table() -> None:
    told = shows(brief_for(bazaar(), *FOUND))[HARD]
    assert told["client_error"] > sensitivity(HARD, ("client_error",))
    assert told["server_error"] < sensitivity(HARD, ("server_error",))
    assert told.keys() == {"client_error", "server_error"}
    more = shows(brief_for(bazaar(), *FOUND, past("lb->app", Verdict.BREAKS, "client_error")))[HARD]
    assert more["client_error"] > told["client_error"]


def test_what_only_held_and_what_two_faults_showed_says_nothing_of_a_type() -> None:
    assert not shows(brief_for(bazaar(), past("app->cache", Verdict.HOLDS, "server_error")))
    assert not shows(brief_for(bazaar(), past("app->cache", Verdict.BREAKS, "server_error", "silent")))
    assert not shows(brief_for(bazaar(), past("app->cache", Verdict.BREAKS)))


def test_other_systems_count_less() -> None:
    far = tuple(PastResult(**{**dict(each), "system": "other", "similarity": 0.8}) for each in FOUND)
    here, there = (shows(brief_for(bazaar(), *told))[HARD]["client_error"] for told in (FOUND, far))
    assert here > there > sensitivity(HARD, ("client_error",))


@pytest.mark.parametrize(("status", "more"), [(404, True), (503, False)])
def test_an_experiment_of_a_type_that_has_shown_it_is_worth_more(status: int, more: bool) -> None:
    (experiment,) = compiled(proposal(HARD, "web->tips", Error(status=status))).experiments
    brief = Brief(system=bazaar())
    before = worth(experiment, brief, {}).value
    after = worth(experiment, brief, {}, Told(shows=shows(brief_for(bazaar(), *FOUND)))).value
    assert (after > before) is more
