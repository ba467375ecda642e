"""Selection: what is uncertain, cheap and harmless first, and never the same thing twice for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.faults.data import CacheFlush
from executor.model.faults.network import Latency
from executor.model.faults.service import DependencyFailure, Error, Hang, Timeout
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.safety.limits import BlastRadius, Limits
from experts.brief import KnownHypothesis, PastResult
from experts.proposal import Beside, Proposal
from planner.optimise import front, length, select
from planner.worth import ALIKE_WEIGHT, STICKY, seconds, stickiness, worth
from tests.planner.systems import bazaar, brief_for, check, compiled, edge, proposal, service

REFUSE = DependencyFailure(mode="refuse")
BRIEF = brief_for(bazaar())


def candidate(weakness: Weakness, place: str, fault: object, probability: float = 0.4, **fields: object) -> Experiment:
    one: Proposal = proposal(weakness, place, fault, probability=probability, **fields)  # type: ignore[arg-type]
    (experiment,) = compiled(one).experiments
    return experiment


def tips(probability: float = 0.4, fault: object = REFUSE) -> Experiment:
    return candidate(Weakness.HARD_DEPENDENCY, "web->tips", fault, probability)


def cache(probability: float = 0.4) -> Experiment:
    return candidate(Weakness.HARD_DEPENDENCY, "app->cache", REFUSE, probability)


def test_the_uncertain_is_worth_more_than_the_certain() -> None:
    values = [worth(tips(p), BRIEF, {}).value for p in (0.02, 0.35)]
    assert values[0] < values[1]
    assert select([tips(0.02), cache(0.4)], brief_for(bazaar(), experiments_max=1)).experiments == (cache(0.4),)


def test_of_equal_worth_the_cheaper_is_taken() -> None:
    short = tips()
    long = Experiment.model_validate({**cache().model_dump(), "trials": 3})
    assert seconds(long) > 2 * seconds(short)
    assert select([long, short], brief_for(bazaar(), experiments_max=1)).experiments == (short,)


def test_critical_users_count_more() -> None:
    calm = System.model_validate(
        {**bazaar().model_dump(), "services": [{**s.model_dump(), "criticality": 0} for s in bazaar().services]}
    )
    assert worth(tips(), brief_for(calm), {}).value < 0.5 * worth(tips(), BRIEF, {}).value


def test_what_is_hard_to_undo_is_riskier() -> None:
    flush = candidate(Weakness.COLD_CACHE_OVERLOAD, "app->cache", CacheFlush(), target=InstanceTarget(service="cache"))
    assert worth(flush, BRIEF, {}).risk > worth(cache(), BRIEF, {}).risk


def test_two_faults_at_once_still_teach_where_each_alone_has_held() -> None:
    place = (Weakness.HARD_DEPENDENCY, "web->tips")
    both = candidate(*place, REFUSE, beside=(Beside(fault=REFUSE, target=EdgeTarget(caller="app", callee="cache")),))
    fresh = worth(both, BRIEF, {}).value
    tried = frozenset({"refused"})
    assert worth(tips(), BRIEF, {place: tried}).value < 0.05 * fresh < worth(both, BRIEF, {place: tried}).value
    held = PastResult(
        run="run-1", system="bazaar", experiment="e", weakness=place[0], place=place[1],
        fault="service.dependency_failure", verdict=Verdict.HOLDS, reason="held",
    )  # fmt: skip
    again = PastResult(**{**dict(held), "fault": "service.dependency_failure + service.dependency_failure"})
    assert worth(both, brief_for(bazaar(), again), {}).value < worth(both, brief_for(bazaar(), held), {}).value


def test_a_covered_hypothesis_adds_little() -> None:
    place = (Weakness.HARD_DEPENDENCY, "web->tips")
    fresh = worth(tips(), BRIEF, {}).value
    again = worth(tips(), BRIEF, {place: frozenset({"refused"})}).value
    other = worth(tips(fault=Error()), BRIEF, {place: frozenset({"refused"})}).value
    assert again < 0.05 * fresh
    assert again < other < fresh


def test_a_further_place_of_the_same_weakness_adds_less() -> None:
    fresh = worth(tips(), BRIEF, {}).value
    once = worth(tips(), BRIEF, {(Weakness.HARD_DEPENDENCY, "app->cache"): frozenset({"refused"})}).value
    unlike = worth(tips(), BRIEF, {(Weakness.MISSING_TIMEOUT, "app->cache"): frozenset({"slow"})}).value
    assert once == pytest.approx(ALIKE_WEIGHT * fresh)
    assert unlike == fresh


def test_what_a_run_has_shown_or_ruled_out_is_hardly_worth_repeating() -> None:
    past = PastResult(
        run="run-1",
        system="bazaar",
        experiment="e",
        weakness=Weakness.HARD_DEPENDENCY,
        place="web->tips",
        fault="service.dependency_failure",
        verdict=Verdict.BREAKS,
        reason="",
    )
    known = KnownHypothesis(weakness=past.weakness, place=past.place, probability=0.97, runs=1)
    told = brief_for(bazaar(), past).model_copy(deep=True)
    told = type(told).model_validate({**told.model_dump(), "beliefs": (known,)})
    assert worth(tips(), told, {}).value < 0.1 * worth(tips(), BRIEF, {}).value
    assert select([tips(), cache()], told).experiments == (cache(),)


def test_budgets_hold_and_are_said() -> None:
    both = [tips(), cache()]
    one = select(both, brief_for(bazaar(), experiments_max=1))
    assert len(one.experiments) == 1
    assert "were asked for" in one.reason
    brief = brief_for(bazaar(), seconds_max=seconds(tips()) + 0.5)
    short = select([*both, candidate(Weakness.MISSING_TIMEOUT, "web->tips", Timeout())], brief)
    assert length(short.stages) <= brief.constraints.seconds_max
    assert select([], BRIEF).experiments == ()


def test_what_sticks_comes_last() -> None:
    hang = candidate(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Hang(), 0.5, target=InstanceTarget(service="app"))
    slow = candidate(Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=3000), 0.1)
    order = [e.id for e in select([hang, slow], BRIEF).experiments]
    assert order == [slow.id, hang.id]
    assert stickiness(hang) >= STICKY > stickiness(slow)


def test_the_front_leaves_out_what_another_beats() -> None:
    dear = Experiment.model_validate({**tips().model_dump(), "id": "dear", "trials": 5})
    held = front({e.id: worth(e, BRIEF, {}) for e in (tips(), dear, cache())})
    assert "dear" not in held
    assert held


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.floats(0.02, 0.95)), max_size=7))
@settings(max_examples=40)
def test_the_front_and_the_budgets_hold_for_any_candidates(drawn: list[tuple[int, int, float]]) -> None:
    """Nothing on the front is beaten, everything off it is, and no selection goes beyond what was asked for."""
    made = (tips, cache, lambda p: tips(p, Error()))
    candidates = [
        Experiment.model_validate({**made[kind](p).model_dump(), "id": f"e{n}", "trials": trials})
        for n, (kind, trials, p) in enumerate(drawn)
    ]
    figures = {e.id: worth(e, BRIEF, {}) for e in candidates}
    held = front(figures)

    def beaten(name: str) -> bool:
        mine = figures[name]
        return any(
            other != mine and other.value >= mine.value and other.risk <= mine.risk and other.seconds <= mine.seconds
            for other in figures.values()
        )

    assert set(held) == {name for name in figures if not beaten(name)}
    brief = brief_for(bazaar(), experiments_max=2, seconds_max=30)
    chosen = select(candidates, brief)
    assert len(chosen.experiments) <= 2
    assert length(chosen.stages) <= 30
    assert chosen == select(candidates[::-1], brief)


def test_side_by_side_only_where_neither_feels_the_other_and_the_limits_allow_it() -> None:
    names = ("a", "b", "c", "d")
    asked = {name: check(name, name, needs=(name,), exercises=()) for name in ("b", "d")}
    asked["a"] = check("a", "a", needs=("a",), exercises=("a->b",))
    asked["c"] = check("c", "c", needs=("c",), exercises=("c->d",))
    services = tuple(service(name, operations=(asked[name],)) for name in names)
    system = System(name="two", services=services, dependencies=(edge("a", "b"), edge("c", "d")))
    brief = brief_for(system)
    both = compiled(
        proposal(Weakness.HARD_DEPENDENCY, "a->b", REFUSE),
        proposal(Weakness.HARD_DEPENDENCY, "c->d", REFUSE),
        brief=brief,
    ).experiments
    wide = Limits(blast_radius=BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100))
    assert [len(stage) for stage in select(both, brief, wide).stages] == [2]
    assert [len(stage) for stage in select(both, brief, Limits()).stages] == [1, 1]
    assert [len(stage) for stage in select([tips(), cache()], BRIEF, wide).stages] == [1, 1]  # home feels both
