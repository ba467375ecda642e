from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.criteria import SteadyState
from executor.model.faults.service import Hang
from executor.model.plan import AbortCondition, Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, DetectionSignal, TcpProbe
from executor.model.vocabulary import Weakness
from executor.safety.guard import HOST_S, HZ, Guard, HostGuard, planned_services, unwell
from executor.safety.limits import Guard as GuardLimits

LIMITS = GuardLimits(check_silent_s=15, unplanned_services_max=1, cpu_percent_max=90, memory_free_percent_min=5)
SERVICES = ("base", "front", "left", "right")


class Answers:
    """What the sampler would say."""

    def __init__(self, **bad: list[bool]) -> None:
        self.answers = {**{name: [True] * 50 for name in (*SERVICES, "signal")}, **bad}
        self.ages = dict.fromkeys(self.answers, 0.1)

    def recent(self, source: str, n: int) -> list[bool]:
        return self.answers[source][-n:]

    def age_s(self, source: str) -> float:
        return self.ages[source]


def experiment(**fields: object) -> Experiment:
    exercises = {"front": ("front->base",), "left": (), "right": None, "base": ()}
    checks = tuple(Check(id=s, service=s, probe=TcpProbe(port=1), rate_hz=5, exercises=exercises[s]) for s in SERVICES)
    hypothesis = Hypothesis(
        id="h1",
        weakness=Weakness.HARD_DEPENDENCY,
        place="front",
        statement="front holds",
        criteria=(SteadyState(checks=("front",)),),
        prediction=Prediction(probability_breaks=0.5),
    )
    given = {
        "id": "e1",
        "title": "t",
        "hypotheses": (hypothesis,),
        "checks": checks,
        "signals": (DetectionSignal(id="signal", service="base", probe=TcpProbe(port=1)),),
        "actions": (Action(id="a1", fault=Hang(), target=InstanceTarget(service="base"), duration_s=1),),
        "abort_conditions": (AbortCondition(check="left", availability_below=0.6, of=10),),
    }
    return Experiment.model_validate({**given, **fields})


def rule(answers: Answers, **fields: object) -> str | None:
    violation = Guard(experiment(**fields), LIMITS, answers).look()
    return violation.rule if violation else None


def test_all_well_is_no_violation() -> None:
    assert rule(Answers()) is None


def test_an_abort_condition_needs_enough_of_the_last_answers() -> None:
    good, bad = True, False
    assert rule(Answers(left=[bad] * 9)) != "abort condition on left"  # fewer answers than it speaks of
    assert rule(Answers(left=[good] * 6 + [bad] * 4)) is None  # 6 of 10 is not below 60 %
    assert rule(Answers(left=[good] * 5 + [bad] * 5)) == "abort condition on left"
    assert rule(Answers(left=[bad] * 50 + [good] * 10)) is None  # old answers do not count
    assert rule(Answers(left=[bad] * 50), abort_conditions="none") != "abort condition on left"


def test_a_violation_names_rule_measure_and_limit() -> None:
    violation = Guard(experiment(), LIMITS, Answers(left=[False] * 50)).look()
    assert str(violation) == (
        "abort condition on left: 0 of the last 10 answers were good, and the limit is at least 60%"
    )


@pytest.mark.parametrize("source", ["front", "signal"])
def test_what_has_fallen_silent_is_a_violation(source: str) -> None:
    answers = Answers()
    answers.ages[source] = 15.1
    assert rule(answers) == "guard readable"


def test_answers_that_cannot_be_read_are_a_violation() -> None:
    answers = Answers()
    del answers.answers["left"]
    assert rule(answers) == "guard readable"


def test_drift_counts_services_that_nothing_speaks_of() -> None:
    bad = [True] * 3 + [False] * 2
    assert planned_services(experiment()) == {"base", "front"}
    assert rule(Answers(front=bad, base=bad, left=bad), abort_conditions="none") is None  # one unplanned is allowed
    assert rule(Answers(left=bad, right=bad), abort_conditions="none") == "blast radius drift"
    assert rule(Answers(left=[True] * 4 + [False], right=bad), abort_conditions="none") is None  # one bad is a blip


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("pause_s", "ends"), [(0.5, True), (4.1, False)])
def test_a_cascade_is_told_by_how_fast_services_leave(pause_s: float, ends: bool) -> None:
    """Two unplanned services may be unwell at once; here they leave, come back and leave again."""
    limits = GuardLimits(unplanned_services_max=2, cascade_per_s_max=0.5)
    answers, clock = Answers(), Clock()
    guard = Guard(experiment(abort_conditions="none"), limits, answers, clock=clock)
    found = []
    for _ in range(2):
        for name in ("left", "right"):
            clock.now_s += pause_s
            answers.answers[name] = [False] * 50
            found.append(guard.look())
            answers.answers[name] = [True] * 50
            found.append(guard.look())
    assert found[:4] == [None] * 4
    last = next((violation for violation in found if violation), None)
    assert (str(last) if last else "") == (
        "cascade: left, right, left left steady state within 4 s, which no hypothesis speaks of, and the limit is "
        "0.5 such services a second"
        if ends
        else ""
    )


def test_what_the_plan_expects_is_no_cascade() -> None:
    answers = Answers(front=[False] * 50, base=[False] * 50)
    limits = GuardLimits(cascade_per_s_max=0.1)
    assert Guard(experiment(abort_conditions="none"), limits, answers).look() is None


def test_a_probe_that_contradicts_itself_is_not_well() -> None:
    torn = [True, False] * 25
    assert rule(Answers(left=torn)) == "abort condition on left"
    assert rule(Answers(left=torn, right=torn), abort_conditions="none") == "blast radius drift"
    assert unwell(experiment(), Answers(left=torn), 10) != ""


def test_nothing_is_injected_while_a_check_of_the_baseline_is_not_well() -> None:
    assert unwell(experiment(), Answers(), 10) == ""
    assert unwell(experiment(), Answers(right=[True] * 49 + [False]), 10) == ""  # a blip
    assert unwell(experiment(), Answers(right=[False] * 45 + [True] * 5), 10) == ""  # long ago
    assert unwell(experiment(), Answers(right=[True] * 3 + [False] * 2), 1) == (
        "health: right answered well 3 of 5 times, and the limit is 95 %, as it promises"
    )
    assert unwell(experiment(), Answers(right=[False] * 2), 0.1) != ""
    assert unwell(experiment(), Answers(right=[False]), 10) == ""  # too little to say anything
    answers = Answers()
    del answers.answers["right"]
    with pytest.raises(KeyError):
        unwell(experiment(), answers, 10)


@given(st.lists(st.booleans(), min_size=10, max_size=60))
def test_it_never_aborts_above_the_limit_nor_stays_below_it(answers: list[bool]) -> None:
    below = sum(answers[-10:]) / 10 < 0.6
    violation = Guard(experiment(), LIMITS, Answers(left=answers)).look()
    assert (violation is not None and violation.rule == "abort condition on left") is below


def test_the_host_is_judged_over_whole_seconds() -> None:
    cpu = iter([0.0] + [100.0] * round(HOST_S * HZ))
    guard = HostGuard(LIMITS, cpu=lambda: next(cpu), free=lambda: 50.0)
    looks = [guard.look() for _ in range(round(HOST_S * HZ))]
    assert looks[:-1] == [None] * (len(looks) - 1)
    assert str(looks[-1]) == "host processor: 100 % over 5 s, and the limit is 90 %"


def test_short_memory_ends_it_at_the_second_look_and_what_cannot_be_read_at_once() -> None:
    free = iter([4.9, 6.0, 6.0, 4.9, 6.0, 4.8])
    guard = HostGuard(LIMITS, cpu=lambda: 0.0, free=lambda: next(free))
    assert [guard.look() for _ in range(5)] == [None] * 5
    assert str(guard.look()) == "host memory: 4.8 % free, and the limit is 5 %"

    def broken() -> float:
        raise OSError("no /proc")

    violation = HostGuard(LIMITS, cpu=lambda: 0.0, free=broken).look()
    assert violation is not None
    assert violation.rule == "guard readable"


def test_a_limit_of_100_switches_the_processor_rule_off() -> None:
    guard = HostGuard(GuardLimits(cpu_percent_max=100), cpu=lambda: 100.0, free=lambda: 50.0)
    assert [guard.look() for _ in range(40)] == [None] * 40


def test_the_real_host_can_be_read() -> None:
    assert HostGuard(GuardLimits(cpu_percent_max=100, memory_free_percent_min=0)).look() is None
