"""Who fell, when, along which dependency, and how surely: from trials made to measure."""

from __future__ import annotations

import pytest

from executor.measure.cascade.observed import Cascade, cascade
from executor.measure.cascade.ways import Way, ways
from executor.measure.samples import Samples
from executor.model.criteria import SteadyState
from executor.model.evidence import Figure
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, Slo, TcpProbe
from executor.model.vocabulary import Weakness
from tests.executor.measure.records import END_S, INJECTED_S, Answer, observations, trial, well

CHAIN = (("a", "b"), ("b", "c"), ("c", "d"))
HZ = 10.0


def experiment(*services: str, target: str = "d") -> Experiment:
    """One check a service, each of which may feel the target."""
    return Experiment(
        id="e1",
        title="t",
        hypotheses=(
            Hypothesis(
                id="h1",
                weakness=Weakness.SINGLE_POINT_OF_FAILURE,
                place=target,
                statement="s",
                criteria=(SteadyState(checks=(services[0],)),),
                prediction=Prediction(probability_breaks=0.5),
            ),
        ),
        checks=tuple(Check(id=name, service=name, probe=TcpProbe(port=1), rate_hz=HZ) for name in services),
        actions=(Action(id="a1", fault=Crash(), target=InstanceTarget(service=target), duration_s=5),),
        abort_conditions="none",
    )


def falls(after_s: float, until_s: float = END_S) -> object:
    """Bad from so long after the injection on."""

    def answer(at_s: float) -> Answer:
        return not INJECTED_S + after_s <= at_s < until_s, 10.0

    return answer


def seen(number: int = 1, **after_s: float | None) -> Samples:
    """A trial in which each service falls so many seconds after the injection, or not at all."""
    made = [
        observations(name, well if late is None else falls(late), trial=number)  # type: ignore[arg-type]
        for name, late in after_s.items()
    ]
    return trial(*made, number=number)


def figures(found: Cascade) -> dict[str, Figure]:
    return {figure.name: figure for figure in found.figures}


def test_a_chain_is_followed_call_by_call_with_the_lag_of_each() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(a=2.0, b=1.5, c=0.5)], CHAIN)

    assert found.struck == ("d",)
    assert [each.service for each in found.fallen] == ["c", "b", "a"]
    assert [each.hops for each in found.fallen] == [1, 2, 3]
    assert {(link.way.caller, link.way.callee): round(link.lag.value, 6) for link in found.links} == {
        ("c", "d"): 0.5,
        ("b", "c"): 1.0,
        ("a", "b"): 0.5,
    }
    for link in found.links:
        assert link.ties == 0
        assert 0 < link.lag.low < link.lag.value <= link.lag.high
        assert link.lag.high - link.lag.low <= 2 / HZ + 1e-9
    told = figures(found)
    assert (told["cascade_depth"].value, told["cascade_breadth"].value) == (3, 3)
    assert told["cascade_lag"].value == pytest.approx(2 / 3)
    assert told["cascade_speed"].value == pytest.approx(3 / 2.0)
    assert told["cascade_speed"].low == pytest.approx(3 / 2.0)
    assert told["cascade_speed"].high == pytest.approx(3 / 1.9)
    assert told["containment"].value == 0


def test_what_falls_within_one_interval_of_sampling_is_a_tie_and_no_order() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(a=0.0, b=0.0, c=0.0)], CHAIN)

    assert found.depth == 3
    assert all(link.ties == 1 and link.lag.low <= 0 <= link.lag.high for link in found.links)
    assert "cascade_speed" not in figures(found), "nobody knows how fast what fell at once has spread"


def test_a_caller_that_surely_fell_before_its_callee_did_not_fall_by_it() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(a=0.2, b=2.0, c=1.0)], CHAIN)

    (first, *_) = found.fallen
    assert (first.service, first.hops) == ("a", None)
    assert found.cause("a") is None
    assert {(link.way.caller, link.way.callee) for link in found.links} == {("c", "d"), ("b", "c")}
    assert found.depth == 2


def test_services_that_nobody_watches_are_passed_and_named() -> None:
    found = cascade(experiment("a", "c"), [seen(a=1.0, c=0.0)], CHAIN)

    link = found.cause("a")
    assert link is not None
    assert link.way == Way("a", "c", via=("b",))
    assert [each.hops for each in found.fallen] == [1, 3]


def test_how_often_each_was_seen_and_what_was_spared() -> None:
    several = [seen(1, a=None, b=1.0, c=0.0), seen(2, a=None, b=None, c=0.0), seen(3, a=None, b=2.0, c=0.0)]
    found = cascade(experiment("a", "b", "c"), several, CHAIN)

    assert {each.service: (each.seen.good, each.seen.n) for each in found.fallen} == {"b": (2, 3), "c": (3, 3)}
    assert found.spared == ("a",)
    assert found.fallen[1].onset.value == pytest.approx(1.5)
    told = figures(found)
    assert (told["containment"].value, told["containment"].n) == (pytest.approx(1 / 3), 3)
    assert told["cascade_depth"].value == pytest.approx(5 / 3)
    assert told["cascade_depth"].low is not None
    assert told["cascade_depth"].low < 5 / 3


def test_trials_without_their_fault_say_nothing() -> None:
    lost = trial(observations("a", falls(0.0)), lost=True)  # type: ignore[arg-type]
    never = trial(observations("a", well), injected_s=None, reverted_s=None)
    found = cascade(experiment("a"), [lost, never], (("a", "d"),))

    assert (found.trials, found.fallen, found.figures) == (0, (), ())


def test_the_targets_own_checks_are_no_part_of_what_it_spread_to() -> None:
    found = cascade(experiment("c", "d"), [seen(c=None, d=0.0)], CHAIN)

    assert (found.target_hurt.good, found.target_hurt.n) == (1, 1)
    assert (found.fallen, found.spared, found.depth) == ((), ("c",), 0)


def test_calls_in_a_ring_end_somewhere() -> None:
    ring = (("a", "b"), ("b", "a"), ("b", "d"))
    found = cascade(experiment("a", "b"), [seen(a=0.5, b=0.5)], ring)

    assert {each.service: each.hops for each in found.fallen} == {"a": 2, "b": 1}
    assert ways(ring, {"a", "b", "d"}) == (Way("a", "b"), Way("b", "a"), Way("b", "d"))


def test_of_a_struck_edge_only_its_caller_feels_the_callee() -> None:
    """``b`` calls ``d`` as well, and that edge was left alone: it fell for another reason."""
    struck = experiment("a", "b")
    action = Action(id="a1", fault=Latency(delay_ms=3000), target=EdgeTarget(caller="a", callee="d"), duration_s=5)
    found = cascade(
        Experiment.model_validate({**struck.model_dump(), "actions": (action,)}),
        [seen(a=0.0, b=1.0)],
        (("a", "d"), ("b", "d")),
    )

    assert found.struck == ("d",)
    assert {each.service: each.hops for each in found.fallen} == {"a": 1, "b": None}


def test_a_service_whose_checks_have_nothing_to_do_with_it_stands_in_nobodys_way() -> None:
    """What is asked of ``b`` takes no calls to ``d``; ``a`` reaches ``d`` through ``b`` all the same."""
    three = experiment("a", "b", "c")
    checks = [
        {**check.model_dump(), "exercises": {"a": ("a->b", "b->c", "c->d"), "b": (), "c": ("c->d",)}[check.id]}
        for check in three.checks
    ]
    found = cascade(
        Experiment.model_validate({**three.model_dump(), "checks": checks}), [seen(a=1.0, b=None, c=0.0)], CHAIN
    )

    link = found.cause("a")
    assert link is not None
    assert link.way == Way("a", "c", via=("b",))
    assert (found.depth, found.spared) == (3, ())


def test_the_spread_over_trials_is_in_the_interval_and_what_fell_after_the_fault_is_told() -> None:
    """The fault is there for 5 s: in one of the trials ``b`` falls under it, in the other once it is over."""
    found = cascade(experiment("b", "c"), [seen(1, b=1.0, c=0.0), seen(2, b=6.0, c=0.0)], CHAIN)

    c, b = found.fallen
    assert (b.service, b.seen.good, b.after, c.after) == ("b", 2, 1, 0)
    assert b.onset.value == pytest.approx(3.5)
    assert b.onset.low < 1.5
    assert b.onset.high > 5.5
    link = found.cause("b")
    assert link is not None
    assert link.lag.low < 1.5
    assert link.lag.high > 5.5


def test_a_slow_answer_may_have_met_on_its_way_what_came_after_it_was_asked_for() -> None:
    """``a`` works for a second before it calls ``b``: whoever asks it in the second before that falls, asks in vain."""

    def slowly(at_s: float) -> Answer:
        return at_s < INJECTED_S + 0.6, 1000.0

    kept = trial(observations("a", slowly), observations("b", falls(1.5)), observations("c", falls(0.0)))  # type: ignore[arg-type]
    found = cascade(experiment("a", "b", "c"), [kept], CHAIN)

    assert {each.service: each.hops for each in found.fallen} == {"c": 1, "a": 3, "b": 2}
    link = found.cause("a")
    assert link is not None
    assert (link.way.callee, link.ties) == ("b", 1)
    assert link.lag.low < 0 < link.lag.high
    assert found.before == (("c", "a"), ("c", "b"))


def test_a_blip_before_it_falls_does_not_clear_its_callee() -> None:
    def blip(at_s: float) -> Answer:
        return at_s < INJECTED_S + 0.9 and round(at_s - INJECTED_S, 3) != 0.3, 10.0

    blipped = trial(observations("a", blip), observations("b", falls(0.9)), observations("c", falls(0.0)))  # type: ignore[arg-type]
    found = cascade(experiment("a", "b", "c"), [blipped], CHAIN)

    assert {each.service: each.hops for each in found.fallen} == {"c": 1, "a": 3, "b": 2}


def test_what_was_not_well_before_the_fault_did_not_fall_by_it() -> None:
    """``b`` promises 300 ms and takes 500 at all times, in one of the trials; what calls it is followed past it."""
    three = experiment("a", "b", "c")
    checks = [Check.model_validate({**c.model_dump(), "slo": Slo(latency_ms_max=300)}) for c in three.checks]
    promised = Experiment.model_validate({**three.model_dump(), "checks": checks})
    slow = observations("b", lambda _: (True, 500.0))
    down = observations("b", lambda _: (False, 10.0))

    for unwell in (slow, down):
        one = trial(observations("a", falls(0.5)), observations("c", falls(0.0)), unwell)  # type: ignore[arg-type]
        found = cascade(promised, [one], CHAIN)
        assert ([each.service for each in found.fallen], found.spared, found.untold) == (["c", "a"], (), ("b",))
        link = found.cause("a")
        assert link is not None
        assert link.way == Way("a", "c", via=("b",))
        assert figures(found)["containment"].n == 2, "nothing is told of it"

        both = cascade(promised, [one, seen(2, a=0.5, b=0.2, c=0.0)], CHAIN)
        assert {each.service: (each.seen.good, each.seen.n) for each in both.fallen} == {
            "a": (2, 2),
            "b": (1, 1),
            "c": (2, 2),
        }
        assert {each.service: each.hops for each in both.fallen} == {"a": 3, "b": 2, "c": 1}
        assert cascade(promised, [one, seen(2, a=0.5, b=None, c=0.0)], CHAIN).untold == ("b",)


def test_what_nobody_asked_was_not_spared() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(b=None, c=0.0)], CHAIN)
    assert (found.spared, found.untold) == (("b",), ("a",))
    assert figures(found)["containment"].value == 0.5

    cut_short = trial(*[observations(n, well) for n in "ab"], reverted_s=INJECTED_S + 0.3, end_s=INJECTED_S + 0.6)
    found = cascade(experiment("a", "b"), [cut_short], CHAIN)
    assert (found.spared, found.untold) == ((), ("a", "b"))
    assert "containment" not in figures(found)


def test_a_service_of_which_another_check_fell_was_not_spared() -> None:
    """What asks ``d`` does without it, but uses up the threads that ``own`` needs."""
    two = experiment("a", "own")
    exercised = {"a": ("a->d",), "own": ()}
    checks = [{**c.model_dump(), "service": "a", "exercises": exercised[c.id]} for c in two.checks]
    found = cascade(
        Experiment.model_validate({**two.model_dump(), "checks": checks}), [seen(a=None, own=1.0)], (("a", "d"),)
    )

    assert ([each.service for each in found.fallen], found.spared) == (["a"], ())
    assert figures(found)["containment"].value == 0


def test_causes_over_several_trials_form_no_ring() -> None:
    """Once it comes to ``a`` through ``c`` and to ``b`` from there; once through ``e`` to ``b`` and from there."""
    edges = (("c", "d"), ("e", "d"), ("a", "c"), ("b", "e"), ("a", "b"), ("b", "a"))
    both = [seen(1, a=0.5, b=0.5, c=0.0, e=None), seen(2, a=0.5, b=0.5, c=None, e=0.0)]
    found = cascade(experiment("a", "b", "c", "e"), both, edges)

    causes = {each.service: link.way.callee for each in found.fallen if (link := found.cause(each.service))}
    assert causes == {"a": "c", "b": "a", "c": "d", "e": "d"}
