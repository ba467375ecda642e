"""Verdicts from synthetic records, one criterion after another."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.criteria import Criterion, RecoversWithin, SteadyState
from executor.model.evidence import EventKind, Observation
from executor.model.probe import Slo
from executor.model.vocabulary import Phase, Verdict
from tests.executor.measure.records import (
    BACK,
    BACK_UNAIDED,
    BOUNDED,
    CALLS,
    CRITERIA,
    DETECTED,
    END_S,
    INJECTED_S,
    REVERTED_S,
    STEADY,
    Answer,
    counter,
    dead,
    experiment,
    faulted,
    judged,
    observations,
    trial,
    verdict,
    well,
)

HOLDS, BREAKS, INCONCLUSIVE = Verdict.HOLDS, Verdict.BREAKS, Verdict.INCONCLUSIVE


def front(answer: object = well) -> list[Observation]:
    assert callable(answer)
    return observations("front", answer)


def test_steady_state() -> None:
    assert verdict(STEADY, front()) is HOLDS
    assert verdict(STEADY, front(dead)) is BREAKS
    rare = front(lambda at_s: (not (faulted(at_s) and round(at_s * 10) % 25 == 0), 10.0))
    assert verdict(STEADY, rare) is HOLDS  # 96 % of 50
    doubtful = front(lambda at_s: (not (faulted(at_s) and round(at_s * 10) % 8 == 0), 10.0))
    assert verdict(STEADY, doubtful) is INCONCLUSIVE  # 88 % of 50: the interval holds the limit


def test_steady_state_leaves_out_the_time_that_fail_over_may_take() -> None:
    brief = front(lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 1.5, 10.0))
    assert verdict(STEADY, brief) is BREAKS
    assert verdict(SteadyState(checks=("front",), after_s=2), brief) is HOLDS


def test_steady_state_with_latency() -> None:
    bound = SteadyState(checks=("front",), latency_ms_max=100)
    assert verdict(bound, front()) is HOLDS
    assert verdict(bound, front(lambda at_s: (True, 400.0 if faulted(at_s) else 10.0))) is BREAKS


def test_what_was_unwell_before_proves_nothing() -> None:
    unwell = front(lambda at_s: (at_s > 1.5 and not faulted(at_s), 10.0))
    for criterion in (STEADY, BOUNDED, BACK):
        assert verdict(criterion, unwell) is INCONCLUSIVE


def test_an_asking_that_the_fault_caught_under_way_does_not_spoil_the_baseline() -> None:
    def caught(at_s: float) -> Answer:
        return (False, 600.0) if INJECTED_S - 0.25 < at_s < REVERTED_S else (True, 10.0)

    assert verdict(STEADY, front(caught)) is BREAKS


def test_an_asking_that_was_hanging_long_before_the_fault_does_spoil_it() -> None:
    def hanging(at_s: float) -> Answer:
        return (False, 5000.0) if 1.0 < at_s < REVERTED_S else (True, 10.0)

    assert verdict(STEADY, front(hanging)) is INCONCLUSIVE


def test_answers_that_only_the_revert_brought_do_not_count_as_served() -> None:
    def hung(at_s: float) -> Answer:
        return (True, (REVERTED_S - at_s) * 1000 + 5) if faulted(at_s) else (True, 10.0)

    judgement = judged(experiment(STEADY), trial(front(hung)))
    assert judgement.hypotheses[0].verdict is BREAKS
    availability = [f for f in judgement.figures if f.name == "availability" and f.phase is Phase.FAULT]
    assert [f.value for f in availability] == [0.0]


def test_bounded_latency() -> None:
    assert verdict(BOUNDED, front(lambda at_s: (not faulted(at_s), 50.0))) is HOLDS  # failing fast is within bounds
    assert verdict(BOUNDED, front(lambda at_s: (True, 2000.0 if faulted(at_s) else 10.0))) is BREAKS
    slow = trial(front(lambda at_s: (True, 2000.0 if faulted(at_s) else 10.0)))
    (hypothesis,) = judged(experiment(BOUNDED), slow).hypotheses
    assert hypothesis.criteria[0].measured.endswith("of answers within 500 ms, the longest wait 2000 ms")


def test_calls_within() -> None:
    assert verdict(CALLS, counter(lambda _: 10.0)) is HOLDS
    assert verdict(CALLS, counter(lambda at_s: 30.0 if faulted(at_s) else 10.0)) is BREAKS
    assert verdict(CALLS, counter(lambda _: 0.0)) is INCONCLUSIVE
    assert verdict(CALLS) is INCONCLUSIVE
    restarted = [
        Observation(**{**o.model_dump(), "value": 0.0}) if o.at_s == INJECTED_S + 2 else o
        for o in counter(lambda _: 10.0)
    ]
    assert verdict(CALLS, restarted) is INCONCLUSIVE  # a counter that falls has missed calls


def test_recovers_within() -> None:
    assert verdict(BACK, front(dead)) is HOLDS
    assert verdict(BACK, front()) is HOLDS  # nothing to recover from
    late = front(lambda at_s: (not INJECTED_S <= at_s < REVERTED_S + 3, 10.0))
    assert verdict(BACK, late) is BREAKS
    never = front(lambda at_s: (at_s < INJECTED_S, 10.0))
    assert verdict(BACK, never) is BREAKS
    unseen = RecoversWithin(checks=("front",), within_s=60)
    assert verdict(unseen, never) is INCONCLUSIVE  # the time allowed had not passed when watching ended


def test_one_that_felt_it_and_is_back_is_enough_where_others_lie_between() -> None:
    never = lambda at_s: (at_s < INJECTED_S, 10.0)  # noqa: E731
    both = RecoversWithin(checks=("front", "side"), within_s=2)
    one = both.model_copy(update={"of": "any"})

    def told(criterion: RecoversWithin, front_says: Any, side_says: Any) -> Verdict:
        asked = experiment(criterion, also=["side"])
        (result,) = judged(asked, trial(front(front_says), observations("side", side_says))).hypotheses
        return result.verdict

    assert told(both, dead, never) is BREAKS
    assert told(one, dead, never) is HOLDS
    assert told(one, never, never) is BREAKS
    assert told(one, well, never) is BREAKS  # one that felt nothing says nothing of coming back
    assert told(one, well, well) is HOLDS
    unwell = lambda at_s: (at_s >= REVERTED_S, 10.0)  # noqa: E731
    assert told(one, unwell, never) is BREAKS
    assert told(one, unwell, unwell) is INCONCLUSIVE


def test_recovers_unaided() -> None:
    alone = front(lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 1, 10.0))
    assert verdict(BACK_UNAIDED, alone) is HOLDS
    assert verdict(BACK_UNAIDED, front(dead)) is BREAKS
    within = RecoversWithin(checks=("front",), within_s=10, since="injected")
    assert verdict(within, front(dead)) is INCONCLUSIVE  # it came back, but only with help
    hair = front(lambda at_s: (not INJECTED_S <= at_s < REVERTED_S - 0.3, 10.0))
    assert verdict(within, hair) is INCONCLUSIVE  # three good answers before the help are no window


def test_detected_within() -> None:
    def health(answer: object) -> list[Observation]:
        assert callable(answer)
        return observations("health", answer, rate_hz=5)

    assert verdict(DETECTED, front(dead), health(dead)) is HOLDS
    assert verdict(DETECTED, front(dead), health(well)) is BREAKS
    assert verdict(DETECTED, front(), health(well)) is INCONCLUSIVE  # nothing failed that it should report
    assert verdict(DETECTED, front(dead)) is INCONCLUSIVE  # nobody asked it
    silent = observations("health", lambda at_s: (not faulted(at_s), 10.0), rate_hz=5, error="no answer within 9 ms")
    assert verdict(DETECTED, front(dead), silent) is INCONCLUSIVE
    late = health(lambda at_s: (not INJECTED_S + 4 <= at_s < REVERTED_S, 10.0))
    assert verdict(DETECTED, front(dead), late) is BREAKS


@pytest.mark.parametrize(("took_ms", "expected"), [(900.0, INCONCLUSIVE), (1900.0, INCONCLUSIVE), (2500.0, BREAKS)])
def test_that_answers_are_slower_than_promised_is_not_what_a_signal_must_report(
    took_ms: float, expected: Verdict
) -> None:
    slow = front(lambda at_s: (True, took_ms if faulted(at_s) else 10.0))
    health = observations("health", well, rate_hz=5)
    promised = experiment(DETECTED, slo=Slo(latency_ms_max=400))
    (result,) = judged(promised, trial(slow, health)).hypotheses
    assert result.verdict is expected


def test_only_as_long_as_something_fails_it_must_be_reported() -> None:
    """A service that its supervisor starts again at once is not down for as long as the fault phase lasts."""
    health = observations("health", well, rate_hz=5)
    brief = front(lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 1, 10.0))
    (result,) = judged(experiment(DETECTED), trial(brief, health)).hypotheses
    assert result.verdict is INCONCLUSIVE
    assert result.reason == "health had only 1.00 s of failure to report"
    longer = front(lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 3, 10.0))
    (result,) = judged(experiment(DETECTED), trial(longer, health)).hypotheses
    assert result.verdict is BREAKS
    assert result.reason == "health still said well 2.80 s after checks began to fail"


def test_a_signal_that_alarms_without_a_fault_has_not_noticed_one() -> None:
    flaps = observations("health", lambda at_s: (round(at_s * 5) % 5 != 0 or not at_s, 10.0), rate_hz=5)
    (result,) = judged(experiment(DETECTED), trial(front(dead), flaps)).hypotheses
    assert result.verdict is INCONCLUSIVE
    assert result.reason == "health did not steadily say well before the fault"
    starting = observations("health", lambda at_s: (at_s > 1 and dead(at_s)[0], 10.0), rate_hz=5)
    assert verdict(DETECTED, front(dead), starting) is HOLDS


def test_what_failed_before_the_fault_is_not_what_it_should_report() -> None:
    ill = front(lambda at_s: (round(at_s * 10) % 2 == 0, 10.0))
    assert verdict(DETECTED, ill, observations("health", well, rate_hz=5)) is INCONCLUSIVE


@pytest.mark.parametrize("name", CRITERIA)
def test_no_data_decides_nothing(name: str) -> None:
    assert verdict(CRITERIA[name]) is INCONCLUSIVE
    assert verdict(CRITERIA[name], injected_s=None, reverted_s=None) is INCONCLUSIVE
    assert judged(experiment(CRITERIA[name])).hypotheses[0].verdict is INCONCLUSIVE


def test_few_data_decide_nothing() -> None:
    slow = observations("front", dead, rate_hz=1)
    (result,) = judged(experiment(STEADY, rate_hz=1), trial(slow)).hypotheses
    assert result.verdict is INCONCLUSIVE


def test_an_edge_that_carried_no_calls_proves_nothing() -> None:
    idle = counter(lambda at_s: 0.0 if faulted(at_s) else 10.0)
    (result,) = judged(experiment(STEADY, exercised=True), trial(front(), idle)).hypotheses
    assert result.verdict is INCONCLUSIVE
    assert "not exercised" in result.reason
    (result,) = judged(experiment(STEADY, exercised=True), trial(front(), counter(lambda _: 10.0))).hypotheses
    assert result.verdict is HOLDS
    (result,) = judged(experiment(STEADY, exercised=True), trial(front())).hypotheses
    assert "could not be counted" in result.reason


def test_what_was_cut_short_is_aborted_unless_it_had_broken() -> None:
    results = judged(experiment(STEADY, CALLS), trial(front(dead), aborted="it was halted")).hypotheses
    assert [result.verdict for result in results] == [BREAKS, Verdict.ABORTED]
    assert "it was halted" in results[1].reason


def test_a_trial_that_lost_its_fault_decides_nothing() -> None:
    gone = trial(front(dead), aborted="it ended before its time", lost=True)
    (alone,) = judged(experiment(STEADY), gone).hypotheses
    assert alone.verdict is Verdict.ABORTED
    assert "ended before its time" in alone.reason
    again = trial(front(dead), aborted="it ended before its time", lost=True, number=2)
    (before,) = judged(experiment(STEADY), trial(front(dead)), again).hypotheses
    assert before.verdict is BREAKS


def test_moments_are_found_in_order() -> None:
    health = observations("health", dead, rate_hz=5)
    events = judged(experiment(STEADY), trial(front(dead), health)).events
    assert [event.kind for event in events] == [EventKind.IMPACT, EventKind.DETECTED, EventKind.RECOVERED]
    assert [event.at_s for event in events] == [
        pytest.approx(INJECTED_S, abs=0.11),
        pytest.approx(INJECTED_S, abs=0.25),
        pytest.approx(REVERTED_S, abs=0.11),
    ]
    alone = front(lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 1, 10.0))
    kinds = [event.kind for event in judged(experiment(STEADY), trial(alone)).events]
    assert kinds == [EventKind.IMPACT, EventKind.MITIGATED, EventKind.RECOVERED]


def test_figures_carry_what_they_rest_on() -> None:
    figures = {
        (f.name, f.phase): f
        for f in judged(experiment(STEADY), trial(front(dead)), trial(front(dead), number=2)).figures
    }
    kept = figures["availability", Phase.FAULT]
    assert (kept.value, kept.n) == (0.0, 100)
    assert figures["mttr", None].value == pytest.approx(REVERTED_S - INJECTED_S, abs=0.2)
    assert figures["mttr", None].n == 2
    assert figures["longest_outage", None].value == pytest.approx(REVERTED_S - INJECTED_S, abs=0.2)


def test_a_promised_latency_is_part_of_steady_state() -> None:
    slow = front(lambda at_s: (True, 300.0 if faulted(at_s) else 10.0))
    promised = judged(experiment(STEADY, slo=Slo(latency_ms_max=100)), trial(slow))
    assert EventKind.IMPACT in [event.kind for event in promised.events]
    assert EventKind.IMPACT not in [event.kind for event in judged(experiment(STEADY), trial(slow)).events]


answers = st.lists(st.tuples(st.booleans(), st.floats(0, 3000)), min_size=120, max_size=120)


def _from(drawn: list[Answer]) -> list[Observation]:
    return front(lambda at_s: drawn[round(at_s * 10)])


@settings(max_examples=60)
@given(answers, st.randoms(use_true_random=False), st.sampled_from(sorted(CRITERIA)))
def test_the_order_of_recording_does_not_matter(drawn: list[Answer], chance: random.Random, name: str) -> None:
    made = [*_from(drawn), *counter(lambda _: 9.0), *observations("health", dead, rate_hz=5)]
    shuffled = chance.sample(made, len(made))
    one = judged(experiment(CRITERIA[name]), trial(made))
    assert one == judged(experiment(CRITERIA[name]), trial(shuffled))


@settings(max_examples=40)
@given(answers, st.sampled_from(sorted(CRITERIA)))
def test_any_records_give_a_verdict_and_sound_figures(drawn: list[Answer], name: str) -> None:
    judgement = judged(experiment(CRITERIA[name]), trial(_from(drawn)))
    for figure in judgement.figures:
        assert figure.low is None or figure.low <= figure.value
        assert figure.high is None or figure.value <= figure.high
    assert all(0 <= event.at_s <= END_S for event in judgement.events)


@settings(max_examples=40)
@given(answers)
def test_the_same_again_never_turns_a_verdict_round(drawn: list[Answer]) -> None:
    one = judged(experiment(STEADY), trial(_from(drawn))).hypotheses[0].verdict
    thrice = [trial(_from(drawn), number=n) for n in (1, 2, 3)]
    more = judged(experiment(STEADY), *thrice).hypotheses[0].verdict
    assert {one, more} != {HOLDS, BREAKS}
    if one is not INCONCLUSIVE:
        assert more is one


def test_more_of_the_same_decides_what_little_left_open() -> None:
    doubtful = front(lambda at_s: (not (faulted(at_s) and round(at_s * 10) % 6 == 0), 10.0))  # 84 %
    verdicts = [
        judged(experiment(STEADY), *(trial(doubtful, number=n) for n in range(1, count + 1))).hypotheses[0].verdict
        for count in (1, 12)
    ]
    assert verdicts == [INCONCLUSIVE, BREAKS]


def test_every_criterion_has_a_judge() -> None:
    from typing import get_args

    from executor.measure.criteria.table import JUDGES

    kinds = {member.model_fields["kind"].default for member in get_args(get_args(Criterion)[0])}
    assert kinds == set(JUDGES)
