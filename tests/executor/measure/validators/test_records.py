"""What validators say of made-up records: where too little was seen, where they do not apply, over several trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.measure import judge
from executor.measure.validators.table import VALIDATORS
from executor.model.criteria import CallsWithin, DetectedWithin, RecoversWithin, SteadyState
from executor.model.evidence import Validation
from executor.model.faults import Fault
from executor.model.faults.resource import Cpu
from executor.model.faults.service import Crash, DependencyFailure, Error, Hang, Overload
from executor.model.plan import Action, Experiment, Hypothesis
from executor.model.probe import DetectionSignal, Slo, TcpProbe
from executor.model.vocabulary import Verdict
from tests.executor.measure.records import (
    END_S,
    INJECTED_S,
    REVERTED_S,
    Answer,
    counter,
    dead,
    faulted,
    judged,
    observations,
    well,
)
from tests.executor.measure.validators.made import (
    AWAY,
    BASE,
    CHECKS,
    EDGE,
    PLAIN,
    SOFT,
    VIA,
    asked,
    check,
    one,
    said,
    trial,
)

HOLDS, BREAKS, INCONCLUSIVE = Verdict.HOLDS, Verdict.BREAKS, Verdict.INCONCLUSIVE
MINE = (
    "unaided_recovery",
    "full_recovery",
    "containment",
    "graceful_degradation",
    "circuit_breaker",
    "bulkhead",
    "retry_discipline",
    "metastability",
)


def opened(at_s: float) -> float:
    """Calls a second with a breaker that opens after half a second."""
    return 0.8 if INJECTED_S + 0.5 <= at_s < REVERTED_S + 0.4 else 20.0


def away(length_s: float) -> Any:
    return lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + length_s, 10.0)


def never(at_s: float) -> Answer:
    return at_s < INJECTED_S, 10.0


@pytest.mark.parametrize("name", MINE)
def test_nothing_is_told_where_nothing_was_done(name: str) -> None:
    experiment = asked(signals=["health"])
    assert said(name, experiment) == {}
    assert said(name, experiment, trial(experiment, injected_s=None, reverted_s=None)) == {}


@pytest.mark.parametrize("name", MINE)
@pytest.mark.parametrize("fault", [AWAY, Crash(), Error(probability=0.2), Overload(rate_rps=50)], ids=lambda f: f.kind)
def test_no_answers_decide_nothing(name: str, fault: Fault) -> None:
    experiment = asked(fault, signals=["health"])
    silent = trial(asked(checks=[check("other")]), None, counter(lambda _: 0.0))
    assert {each.verdict for each in said(name, experiment, silent).values()} <= {INCONCLUSIVE}


answers = st.lists(st.tuples(st.booleans(), st.floats(0, 3000)), min_size=120, max_size=120)


@settings(max_examples=30)
@given(answers, answers, st.sampled_from(MINE), st.sampled_from([AWAY, Crash(), Hang()]))
def test_any_records_give_something_sayable_and_always_the_same(
    via: list[Answer], base: list[Answer], name: str, fault: Fault
) -> None:
    experiment = asked(fault, signals=["health"])
    says = {"via": lambda at_s: via[round(at_s * 10)], "base": lambda at_s: base[round(at_s * 10)]}
    seen = trial(experiment, says, counter(lambda at_s: 20.0 if via[round(at_s * 10)][0] else 3.0))
    first = said(name, experiment, seen)
    assert first == said(name, experiment, seen)
    assert all(each.verdict in (HOLDS, BREAKS, INCONCLUSIVE) and each.measured for each in first.values())


def test_what_was_cut_short_is_certain_only_where_it_broke() -> None:
    experiment = asked()
    seen = trial(experiment, {"soft": dead, "via": dead}, aborted="it was halted", end_s=REVERTED_S)
    found = {(v.validator, v.of): v for v in judged(experiment, seen).validations}
    assert found["graceful_degradation", "soft"].verdict is BREAKS
    assert found["bulkhead", "plain"].verdict is INCONCLUSIVE
    assert found["bulkhead", "plain"].measured.startswith("cut short: it was halted; by then ")


def test_all_validators_are_asked_by_the_judge() -> None:
    experiment = asked(Crash(), signals=["health"])
    seen = trial(experiment, {"base": dead, "via": dead, "health": dead}, counter(opened))
    assert {v.validator for v in judged(experiment, seen).validations} >= {*MINE, "failure_detection"}
    assert set(MINE) < set(VALIDATORS)


@pytest.mark.parametrize(("later_s", "verdict"), [(0.0, HOLDS), (6.0, INCONCLUSIVE)])
def test_a_fault_that_came_after_the_first_was_not_there_in_its_phase(later_s: float, verdict: Verdict) -> None:
    plain = asked(AWAY, SteadyState(checks=("soft",)))
    (first,) = plain.actions
    second = Action(**{**dict(first), "id": "a2", "start_s": later_s})
    experiment = Experiment(**{**dict(plain), "actions": (first, second)})
    found = judged(experiment, trial(experiment, {"via": dead}))
    told = {(v.validator, v.of): v for v in found.validations}
    assert told["graceful_degradation", "soft"].verdict is verdict
    assert told["full_recovery", "front"].verdict is HOLDS
    assert found.hypotheses[0].verdict is verdict
    if later_s:
        assert "and a2 came later" in told["graceful_degradation", "soft"].measured


def test_a_validator_that_fails_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[Validation]:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(judge, "VALIDATORS", {**VALIDATORS, "bulkhead": broken})
    experiment = asked()
    found = {v.validator: v for v in judged(experiment, trial(experiment, {"via": dead})).validations}
    assert found["bulkhead"].verdict is INCONCLUSIVE
    assert found["bulkhead"].measured == "asking it failed: ZeroDivisionError: float division by zero"
    assert found["containment"].verdict is HOLDS


class TestFailureDetection:
    """What it says beyond ``detected_within``."""

    def test_a_service_that_serves_everybody_has_nothing_to_report(self) -> None:
        experiment = asked(signals=["health"])
        told = one("failure_detection", experiment, trial(experiment, {"health": dead}))
        assert told.verdict is INCONCLUSIVE
        assert told.measured.endswith("but no check of front was seen to fail")
        assert one("failure_detection", experiment, trial(experiment, {"health": dead, "via": dead})).verdict is HOLDS

    def test_what_others_fail_by_is_not_its_to_report(self) -> None:
        """Nobody asks ``front``, so nobody knows whether it had anything to report."""
        apart = check("page", "web", exercises=("web->base",))
        experiment = asked(Crash(restart="murphy"), checks=[apart], signals=["health"])
        told = one("failure_detection", experiment, trial(experiment, {"page": dead}))
        assert told.verdict is INCONCLUSIVE

    def test_who_was_struck_is_known_to_fail(self) -> None:
        experiment = asked(Crash(restart="murphy"), checks=[check("page", "web", exercises=("web->base",))])
        health = DetectionSignal(id="health", service="base", probe=TcpProbe(port=1))
        own = Experiment(**{**dict(experiment), "signals": (health,)})
        assert one("failure_detection", own, trial(own, {"health": dead})).verdict is HOLDS
        soon = Hypothesis(**{**dict(own.hypotheses[0]), "criteria": (DetectedWithin(signal="health", within_s=2),)})
        own = Experiment(**{**dict(own), "hypotheses": (soon,)})
        assert one("failure_detection", own, trial(own, {"page": dead})).verdict is BREAKS


class TestUnaidedRecovery:
    def test_after_a_crash(self) -> None:
        experiment = asked(Crash())
        assert one("unaided_recovery", experiment, trial(experiment, {"base": away(2)})).verdict is HOLDS
        late = one("unaided_recovery", experiment, trial(experiment, {"base": dead}))
        assert (late.verdict, late.of) == (BREAKS, "base")
        both = trial(experiment, {"base": away(2)}), trial(experiment, {"base": dead}, number=2)
        assert one("unaided_recovery", experiment, *both).verdict is BREAKS

    def test_a_hypothesis_says_by_when(self) -> None:
        experiment = asked(Crash(), RecoversWithin(checks=("base",), within_s=1, since="injected"))
        assert one("unaided_recovery", experiment, trial(experiment, {"base": away(2)})).verdict is BREAKS

    def test_what_cannot_be_back_is_not_blamed(self) -> None:
        by_murphy = asked(Crash(restart="murphy"))
        assert said("unaided_recovery", by_murphy, trial(by_murphy, {"base": dead})) == {}
        experiment = asked()
        assert said("unaided_recovery", experiment, trial(experiment, {"via": dead})) == {}
        assert one("unaided_recovery", experiment, trial(experiment, {"via": away(2)})).verdict is HOLDS

    def test_who_can_do_without_should_be_back(self) -> None:
        experiment = asked()
        assert one("unaided_recovery", experiment, trial(experiment, {"soft": dead})).verdict is BREAKS
        unsaid = asked(checks=[check("soft", exercises=(EDGE,))])
        told = one("unaided_recovery", unsaid, trial(unsaid, {"soft": dead}))
        assert told.verdict is INCONCLUSIVE
        assert "is not said" in told.measured

    def test_what_was_not_hurt_has_nothing_to_recover_from(self) -> None:
        experiment = asked(Crash())
        assert said("unaided_recovery", experiment, trial(experiment)) == {}


class TestFullRecovery:
    def test_checks(self) -> None:
        experiment = asked()
        assert one("full_recovery", experiment, trial(experiment, {"via": dead})).verdict is HOLDS
        assert one("full_recovery", experiment, trial(experiment, {"via": never})).verdict is BREAKS
        assert said("full_recovery", experiment, trial(experiment)) == {}

    def test_only_the_whole_time_allowed_shows_that_it_is_not_back(self) -> None:
        experiment = asked()
        early = trial(experiment, {"via": never}, end_s=REVERTED_S + 2)
        assert one("full_recovery", experiment, early).verdict is INCONCLUSIVE
        unseen = trial(experiment, {"via": never}, reverted_s=None)
        assert one("full_recovery", experiment, unseen).verdict is INCONCLUSIVE

    def test_answers_that_stay_slow_within_their_promise(self) -> None:
        experiment = asked()

        def queued(at_s: float) -> Answer:
            return not faulted(at_s), 10.0 if at_s < INJECTED_S else 250.0

        told = one("full_recovery", experiment, trial(experiment, {"via": queued}))
        assert told.verdict is BREAKS
        assert "takes 250 ms, before the fault at most 10 ms" in told.measured

    def test_signals(self) -> None:
        experiment = asked(signals=["health"])
        told = one("full_recovery", experiment, trial(experiment, {"via": dead, "health": never}))
        assert told.verdict is BREAKS
        assert "health does not say well again" in told.measured
        assert one("full_recovery", experiment, trial(experiment, {"health": dead})).verdict is HOLDS
        silent = asked(signals=["health"])
        late = lambda at_s: (at_s < REVERTED_S, 10.0)  # noqa: E731
        told = one("full_recovery", experiment, trial(experiment, {"via": dead, "health": late}))
        assert told.verdict is BREAKS, "it said unwell only once the fault was gone, and has since"
        always_unwell = trial(silent, {"via": dead, "health": lambda _: (False, 10.0)})
        assert one("full_recovery", silent, always_unwell).verdict is HOLDS  # it said nothing before, either

    def test_every_trial_counts(self) -> None:
        experiment = asked()
        both = trial(experiment, {"via": dead}), trial(experiment, {"via": never}, number=2)
        assert one("full_recovery", experiment, *both).verdict is BREAKS

    def test_what_was_unwell_before(self) -> None:
        experiment = asked()
        seen = trial(experiment, {"via": lambda at_s: (at_s > 1 and not faulted(at_s), 10.0)})
        assert one("full_recovery", experiment, seen).verdict is INCONCLUSIVE


class TestContainment:
    def test_what_must_fail_says_nothing(self) -> None:
        experiment = asked()
        assert one("containment", experiment, trial(experiment, {"via": dead})).verdict is HOLDS
        assert one("containment", experiment, trial(experiment, {"via": dead, "soft": dead})).verdict is BREAKS
        only = asked(checks=[VIA])
        assert said("containment", only, trial(only, {"via": dead})) == {}

    def test_where_needs_are_not_said_it_is_told_with_that(self) -> None:
        experiment = asked(checks=[check("via", exercises=(EDGE,))])
        told = one("containment", experiment, trial(experiment, {"via": dead}))
        assert told.verdict is BREAKS
        assert "is not said" in told.measured

    def test_who_cannot_feel_it_is_told_only_if_hurt(self) -> None:
        apart = [check(name, name, exercises=(f"{name}->third",), needs=(name,)) for name in ("other", "a", "b")]
        experiment = asked(checks=[SOFT, *apart])
        assert set(said("containment", experiment, trial(experiment))) == {"front"}
        assert set(said("containment", experiment, trial(experiment, {"other": dead}))) == {"front", "other"}

    def test_the_struck_service_itself_is_not_asked(self) -> None:
        experiment = asked(Crash(), checks=[BASE])
        assert said("containment", experiment, trial(experiment, {"base": dead})) == {}


class TestGracefulDegradation:
    def test_what_can_do_without(self) -> None:
        experiment = asked()
        told = one("graceful_degradation", experiment, trial(experiment, {"via": dead}))
        assert (told.of, told.verdict) == ("soft", HOLDS)
        assert "half of them within 10 ms, before the fault 10 ms" in told.measured
        assert one("graceful_degradation", experiment, trial(experiment, {"soft": dead})).verdict is BREAKS

    def test_too_slow_is_not_kept(self) -> None:
        experiment = asked()
        slow = trial(experiment, {"soft": lambda at_s: (True, 900.0 if faulted(at_s) else 10.0)})
        assert one("graceful_degradation", experiment, slow).verdict is BREAKS

    def test_where_no_latency_is_promised_unusually_slow_is_not_kept(self) -> None:
        experiment = asked(checks=[VIA, check("soft", needs=("front",), exercises=(EDGE,), slo=Slo())])
        slow = trial(experiment, {"via": dead, "soft": lambda at_s: (True, 1400.0 if faulted(at_s) else 10.0)})
        told = one("graceful_degradation", experiment, slow)
        assert told.verdict is BREAKS
        assert "within 1000 ms or twice the slowest before" in told.expected

    @pytest.mark.parametrize(
        ("fault", "checks", "length_s", "verdict"),
        [
            (Crash(), CHECKS, 5.0, HOLDS),
            (Crash(), CHECKS, 0.3, INCONCLUSIVE),
            (Crash(), [SOFT], 0.0, INCONCLUSIVE),
            (Hang(), [SOFT], 0.0, HOLDS),
            (Error(probability=0.2), CHECKS, 0.3, INCONCLUSIVE),
            (AWAY, CHECKS, 0.0, HOLDS),
        ],
        ids=["away", "soon back", "perhaps soon back", "held away", "slight", "cut off"],
    )
    def test_who_was_never_without_it_has_not_shown_to_do_without(
        self, fault: Fault, checks: Any, length_s: float, verdict: Verdict
    ) -> None:
        experiment = asked(fault, checks=checks)
        seen = trial(experiment, {"via": away(length_s), "base": away(length_s)})
        assert one("graceful_degradation", experiment, seen).verdict is verdict

    def test_where_needs_are_not_said(self) -> None:
        experiment = asked(checks=[check("soft", exercises=(EDGE,))])
        assert said("graceful_degradation", experiment, trial(experiment, {"soft": dead})) == {}

    def test_what_stands_before_a_needed_service_is_needed(self) -> None:
        page = check("page", "web", needs=("web", "store"), exercises=("web->base", "base->store"))
        experiment = asked(Crash(), checks=[page])
        assert said("graceful_degradation", experiment, trial(experiment, {"page": dead})) == {}


@pytest.mark.parametrize("name", ["graceful_degradation", "containment", "bulkhead"])
def test_what_strikes_a_whole_machine_blames_nobody_on_it(name: str) -> None:
    hurt = {"soft": dead, "plain": dead}
    narrow, wide = asked(Hang()), asked(Cpu(load_percent=90))
    assert one(name, narrow, trial(narrow, hurt)).verdict is BREAKS
    told = one(name, wide, trial(wide, hurt))
    assert told.verdict is INCONCLUSIVE
    assert "the fault strikes its whole machine" in told.measured


def slow_while(begin_s: float, end_s: float) -> Any:
    return lambda at_s: (True, 700.0 if begin_s <= at_s < end_s else 10.0)


@pytest.mark.parametrize(
    ("name", "end_s", "calls"),
    [
        ("graceful_degradation", REVERTED_S, 20.0),
        ("containment", REVERTED_S, 20.0),
        ("bulkhead", REVERTED_S, 20.0),
        ("circuit_breaker", REVERTED_S, 1.0),
        ("unaided_recovery", END_S, 20.0),
        ("full_recovery", END_S, 20.0),
        ("metastability", END_S, 20.0),
    ],
)
def test_what_all_checks_show_at_once_is_not_what_the_fault_did(name: str, end_s: float, calls: float) -> None:
    """Also those that it cannot reach."""
    apart = [check(each, each, needs=(each,), exercises=()) for each in ("a", "b")]
    experiment = asked(checks=[SOFT, PLAIN, *apart])
    slow, count = slow_while(4, end_s), counter(lambda at_s: calls if faulted(at_s) else 20.0)
    only = trial(experiment, {"soft": slow, "plain": slow}, count, inject_started_s=4.0, injected_s=4.0)
    all_of_them = dict.fromkeys(("soft", "plain", "a", "b"), slow)
    every = trial(experiment, all_of_them, count, inject_started_s=4.0, injected_s=4.0)
    assert BREAKS in {v.verdict for v in said(name, experiment, only).values()}
    told = said(name, experiment, every).values()
    assert BREAKS not in {v.verdict for v in told}
    assert any("so did 2 of 2 checks that the fault cannot reach (a, b)" in v.measured for v in told)


class TestCircuitBreaker:
    def test_opens_fails_fast_and_closes(self) -> None:
        experiment = asked()
        told = one("circuit_breaker", experiment, trial(experiment, {"via": dead}, counter(opened)))
        assert (told.of, told.verdict) == (EDGE, HOLDS)
        assert "to find out whether base is back" in told.measured

    def test_calls_that_go_on(self) -> None:
        experiment = asked()
        assert (
            one("circuit_breaker", experiment, trial(experiment, {"via": dead}, counter(lambda _: 20.0))).verdict
            is BREAKS
        )

    def test_calls_that_fall_since_callers_hang_show_no_breaker(self) -> None:
        experiment = asked()
        hung = trial(
            experiment,
            {n: lambda at_s: (not faulted(at_s), 900.0 if faulted(at_s) else 10.0) for n in ("via", "soft")},
            counter(opened),
        )
        assert one("circuit_breaker", experiment, hung).verdict is BREAKS
        unseen = asked(checks=[PLAIN, BASE])
        assert one("circuit_breaker", unseen, trial(unseen, None, counter(opened))).verdict is INCONCLUSIVE

    def test_a_caller_that_is_gone_has_no_breaker(self) -> None:
        experiment = asked()
        gone = [o for name in ("via", "soft") for o in observations(name, dead)]  # refused: without a status
        seen = trial(asked(checks=[PLAIN, BASE]), None, gone, counter(opened))
        assert one("circuit_breaker", experiment, seen).verdict is BREAKS

    def test_one_that_stays_open(self) -> None:
        experiment = asked()
        open_for_good = counter(lambda at_s: 0.0 if at_s > INJECTED_S + 0.5 else 20.0)
        assert one("circuit_breaker", experiment, trial(experiment, None, open_for_good)).verdict is BREAKS
        early = trial(experiment, None, open_for_good, end_s=REVERTED_S + 1.2)
        assert one("circuit_breaker", experiment, early).verdict is INCONCLUSIVE

    def test_a_trial_that_was_cut_short_leaves_no_less_time_to_open(self) -> None:
        experiment = asked()
        many = counter(lambda at_s: 60.0 if faulted(at_s) else 20.0)
        cut: dict[str, Any] = {"aborted": "it was halted", "reverted_s": INJECTED_S + 1.5, "end_s": INJECTED_S + 1.6}
        assert one("circuit_breaker", experiment, trial(experiment, {"via": dead}, many, **cut)).verdict is INCONCLUSIVE

    def test_a_few_calls_decide_nothing(self) -> None:
        experiment = asked()
        assert (
            one("circuit_breaker", experiment, trial(experiment, None, counter(lambda _: 2.0))).verdict is INCONCLUSIVE
        )
        assert said("circuit_breaker", experiment, trial(experiment)) == {}

    @pytest.mark.parametrize(
        "fault",
        [
            Error(probability=0.2),
            Error(path="/one"),
            Overload(rate_rps=50),
            DependencyFailure(mode="slow", delay_ms=200),
        ],
        ids=str,
    )
    def test_a_dependency_that_is_partly_there_opens_none(self, fault: Fault) -> None:
        experiment = asked(fault)
        assert said("circuit_breaker", experiment, trial(experiment, None, counter(lambda _: 20.0))) == {}

    def test_a_dead_instance_must_be_seen_to_be_away(self) -> None:
        experiment = asked(Crash())
        calls = counter(lambda _: 20.0)
        assert one("circuit_breaker", experiment, trial(experiment, {"base": dead}, calls)).verdict is BREAKS
        back = one("circuit_breaker", experiment, trial(experiment, {"base": away(1)}, calls))
        assert back.verdict is INCONCLUSIVE
        assert "base was not away all the time" in back.measured
        unseen = asked(Crash(), checks=[VIA])
        assert one("circuit_breaker", unseen, trial(unseen, {"via": dead}, calls)).verdict is INCONCLUSIVE

    def test_a_hypothesis_says_how_few(self) -> None:
        experiment = asked(AWAY, CallsWithin(caller="front", callee="base", factor_max=0.02))
        assert one("circuit_breaker", experiment, trial(experiment, None, counter(opened))).verdict is not HOLDS


@pytest.mark.parametrize("name", ["circuit_breaker", "retry_discipline"])
def test_calls_of_a_disturbed_baseline_are_nothing_to_compare_with(name: str) -> None:
    experiment = asked()
    seen = trial(experiment, {"soft": lambda at_s: (at_s > 1.5, 10.0)}, counter(lambda at_s: 5.0 if at_s < 3 else 40.0))
    told = one(name, experiment, seen)
    assert told.verdict is INCONCLUSIVE
    assert "soft was not well before the fault" in told.measured


class TestBulkhead:
    def test_unrelated_endpoints(self) -> None:
        experiment = asked()
        told = one("bulkhead", experiment, trial(experiment, {"via": dead}))
        assert (told.of, told.verdict) == ("plain", HOLDS)
        assert one("bulkhead", experiment, trial(experiment, {"plain": dead})).verdict is BREAKS

    def test_what_the_others_hardly_felt_was_no_test(self) -> None:
        experiment = asked(Crash())
        told = one("bulkhead", experiment, trial(experiment, {"via": away(0.3), "soft": away(0.3)}))
        assert told.verdict is INCONCLUSIVE
        assert "via, soft hardly felt the fault" in told.measured
        slower = {"via": lambda at_s: (True, 150.0 if faulted(at_s) else 10.0)}
        assert one("bulkhead", experiment, trial(experiment, slower)).verdict is HOLDS

    def test_without_load_on_the_struck_edge_nothing_was_tested(self) -> None:
        experiment = asked()
        idle = asked(checks=[PLAIN])
        assert one("bulkhead", experiment, trial(idle)).verdict is INCONCLUSIVE
        assert said("bulkhead", idle, trial(idle)) == {}

    def test_where_nobody_looked_what_it_calls(self) -> None:
        experiment = asked(checks=[VIA, check("plain", needs=("front",))])
        assert said("bulkhead", experiment, trial(experiment, {"plain": dead})) == {}


class TestRetryDiscipline:
    def test_amplification(self) -> None:
        experiment = asked()
        told = one(
            "retry_discipline",
            experiment,
            trial(experiment, None, counter(lambda at_s: 40.0 if faulted(at_s) else 20.0)),
        )
        assert told.verdict is HOLDS
        assert "95 % interval" in told.measured
        storm = counter(lambda at_s: 140.0 if faulted(at_s) else 20.0)
        assert one("retry_discipline", experiment, trial(experiment, None, storm)).verdict is BREAKS

    def test_a_hypothesis_says_how_many(self) -> None:
        experiment = asked(AWAY, CallsWithin(caller="front", callee="base", factor_max=1.2))
        twice = counter(lambda at_s: 40.0 if faulted(at_s) else 20.0)
        assert one("retry_discipline", experiment, trial(experiment, None, twice)).verdict is BREAKS

    def test_retries_that_the_fault_was_too_short_to_see(self) -> None:
        """A caller that waits for long before it calls again has not done so yet."""
        experiment = asked()
        count = counter(lambda at_s: 28.0 if faulted(at_s) else 20.0)
        waiting = {
            name: lambda at_s: (not faulted(at_s), 6000.0 if faulted(at_s) else 10.0) for name in ("via", "soft")
        }
        told = one("retry_discipline", experiment, trial(experiment, waiting, count))
        assert told.verdict is INCONCLUSIVE
        assert "front was still at 50 of 50 requests when the fault ended" in told.measured
        given_up = [o for name in ("via", "soft") for o in observations(name, dead, error="no answer within 10 ms")]
        seen = trial(asked(checks=[PLAIN, BASE]), None, given_up, count)
        assert one("retry_discipline", experiment, seen).verdict is INCONCLUSIVE

    @pytest.mark.parametrize(("fault", "length_s"), [(Crash(), 0.5), (Crash(), 2.0), (Error(probability=0.2), 0.0)])
    def test_what_was_there_most_of_the_time_was_no_trial_of_retries(self, fault: Fault, length_s: float) -> None:
        """Seven calls each for a short while are few, over the whole of the fault phase."""
        experiment = asked(fault)
        count = counter(lambda at_s: 140.0 if INJECTED_S <= at_s < INJECTED_S + min(length_s, 1) else 20.0)
        seen = trial(experiment, {"via": away(length_s), "base": away(length_s)}, count)
        told = one("retry_discipline", experiment, seen)
        assert told.verdict is INCONCLUSIVE
        assert "was away" in told.measured or "was not away all the time" in told.measured

    def test_where_no_calls_come_none_are_multiplied(self) -> None:
        experiment = asked()
        idle = counter(lambda at_s: 0.0 if faulted(at_s) else 20.0)
        assert one("retry_discipline", experiment, trial(experiment, None, idle)).verdict is INCONCLUSIVE
        assert said("retry_discipline", experiment, trial(experiment)) == {}

    def test_calls_of_what_is_struck_itself_are_not_judged(self) -> None:
        experiment = asked(Crash())
        seen = trial(
            experiment, None, [o.model_copy(update={"source": "calls:base->third"}) for o in counter(lambda _: 20.0)]
        )
        assert said("retry_discipline", experiment, seen) == {}


class TestMetastability:
    def test_goodput_returns_or_not(self) -> None:
        experiment = asked()
        short = {"injected_s": 4.0, "inject_started_s": 4.0}
        down = lambda at_s: (not 4 <= at_s < REVERTED_S, 10.0)  # noqa: E731
        told = one("metastability", experiment, trial(experiment, {"via": down}, **short))
        assert (told.of, told.verdict) == ("via", HOLDS)
        stays = lambda at_s: (at_s < 4 or at_s % 1 < 0.3, 10.0)  # noqa: E731
        told = one("metastability", experiment, trial(experiment, {"via": stays}, **short))
        assert told.verdict is BREAKS, told.measured
        assert "goodput before, during, after: 100 %" in told.measured

    def test_goodput_that_returns_and_falls_again(self) -> None:
        experiment = asked()
        short: dict[str, Any] = {"injected_s": 4.0, "inject_started_s": 4.0}
        once = lambda at_s: (at_s < 4 or 9 <= at_s < 10.2, 10.0)  # noqa: E731
        told = one("metastability", experiment, trial(experiment, {"via": once}, **short))
        assert told.verdict is BREAKS, told.measured
        often = asked(checks=[check("via", needs=("front", "base"), exercises=(EDGE,), rate_hz=100)])
        last = lambda at_s: (at_s < 4 or REVERTED_S <= at_s < END_S - 0.06, 10.0)  # noqa: E731
        told = one("metastability", often, trial(often, {"via": last}, **short))
        assert told.verdict is INCONCLUSIVE, told.measured
        assert "falling again at the end" in told.measured

    def test_askings_that_are_missing_are_not_the_same_load(self) -> None:
        experiment = asked()
        fields: dict[str, Any] = {"injected_s": 4.0, "inject_started_s": 4.0}
        whole = trial(experiment, {"via": lambda at_s: (at_s < 4, 10.0)}, **fields)
        assert one("metastability", experiment, whole).verdict is BREAKS
        kept = [o for o in observations("via", lambda at_s: (at_s < 4, 10.0)) if not 8.5 <= o.at_s < 10]
        holes = trial(asked(checks=[SOFT, PLAIN, BASE]), None, kept, **fields)
        told = one("metastability", experiment, holes)
        assert told.verdict is INCONCLUSIVE
        assert "the load after it was not the load before it" in told.measured

    def test_it_must_be_watched_for_as_long_as_the_fault(self) -> None:
        experiment = asked()
        assert one("metastability", experiment, trial(experiment, {"via": never})).verdict is INCONCLUSIVE
        early = trial(experiment, {"via": never}, end_s=REVERTED_S + 1)
        assert one("metastability", experiment, early).verdict is INCONCLUSIVE

    def test_a_trial_that_ended_since_all_was_well(self) -> None:
        experiment = asked()
        early = trial(experiment, {"via": dead}, end_s=REVERTED_S + 1.3)
        assert one("metastability", experiment, early).verdict is HOLDS

    def test_what_was_back_before_the_trigger_went(self) -> None:
        experiment = asked(Crash())
        assert said("metastability", experiment, trial(experiment, {"base": away(2)})) == {}
        assert said("metastability", experiment, trial(experiment)) == {}


def test_the_pieces_of_the_record_fit_together() -> None:
    assert asked().recovery_deadline_s == END_S - REVERTED_S
    assert {c.id for c in CHECKS} == {"via", "soft", "plain", "base"}
    assert well(0)[0]
