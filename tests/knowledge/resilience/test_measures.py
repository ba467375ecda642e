"""From recorded trials to measures: what counts for which dimension and service, and against which promise."""

from __future__ import annotations

from typing import Any

import pytest

from executor.measure.samples import Samples
from executor.model.criteria import DetectedWithin, RecoversWithin
from executor.model.plan import Experiment
from executor.model.probe import Slo
from executor.model.system import Service, System
from knowledge.resilience.measures import Dimension, Measure, measures
from tests.executor.measure.records import (
    BACK,
    DETECTED,
    INJECTED_S,
    STEADY,
    Answer,
    dead,
    experiment,
    judged,
    observations,
    trial,
    well,
)

SYSTEM = System(name="s", services=(Service(name="front", criticality=3), Service(name="base", criticality=2)))


def asked(**of_check: Any) -> Experiment:
    """Base hangs; front's check and base's health are watched."""
    made = experiment(STEADY, BACK, DETECTED, slo=Slo(latency_ms_max=500))
    told = made.model_dump()
    told["checks"][0].update(of_check)
    return Experiment.model_validate(told)


def told(of: Experiment, *trials: Samples) -> dict[Dimension, Measure]:
    result = judged(of, *trials).result(of, len(trials), ())
    found = measures(of, result, SYSTEM)
    assert len({measure.dimension for measure in found}) == len(found)
    return {measure.dimension: measure for measure in found}


def hurt(number: int = 1) -> Samples:
    def noticed(at_s: float) -> Answer:
        return not INJECTED_S + 1 <= at_s < INJECTED_S + 5.4, 10.0

    def back(at_s: float) -> Answer:
        return not INJECTED_S <= at_s < INJECTED_S + 6, 10.0

    signal = observations("health", noticed, rate_hz=5, trial=number)
    return trial(observations("front", back, trial=number), signal, number=number)


def test_every_dimension_that_a_check_and_a_signal_show() -> None:
    found = told(asked(weight=4, critical=True), hurt())
    availability = found[Dimension.AVAILABILITY]
    assert (availability.service, availability.of, availability.value, availability.promised) == (
        ("front", "front", 0.0, 0.95)
    )
    assert (availability.weight, availability.criticality, availability.critical) == (4, 3, True)
    recovery = found[Dimension.RECOVERY]
    assert (recovery.value, recovery.promised) == (pytest.approx(1.0, abs=0.11), BACK.within_s)  # from the revert
    detection = found[Dimension.DETECTION]
    assert (detection.service, detection.of, detection.criticality) == ("base", "health", 2)
    assert (detection.value, detection.promised) == (pytest.approx(1.0, abs=0.21), DETECTED.within_s)
    containment = found[Dimension.CONTAINMENT]
    assert (containment.service, containment.value, containment.promised) == ("base", 0.0, 1.0)
    assert containment.high is not None and containment.high > 0.5  # one service at risk tells little
    assert set(found) == set(Dimension) - {Dimension.LATENCY, Dimension.DEGRADATION}  # no good answer to time


def test_what_does_not_need_the_struck_service_speaks_of_degradation() -> None:
    soft = told(asked(needs=("front",)), hurt())
    assert soft[Dimension.DEGRADATION].value == 0
    assert Dimension.AVAILABILITY not in soft
    hard = told(asked(needs=("front", "base")), hurt())
    assert Dimension.DEGRADATION not in hard


def test_what_cannot_have_felt_the_fault_says_nothing() -> None:
    elsewhere = told(asked(exercises=("front->store",)), hurt())
    assert set(elsewhere) == {Dimension.DETECTION}
    reached = told(asked(exercises=("front->base",)), hurt())
    assert Dimension.AVAILABILITY in reached


def test_what_was_not_hurt_tests_neither_recovery_nor_detection() -> None:
    unhurt = trial(observations("front", well), observations("health", well, rate_hz=5))
    found = told(asked(), unhurt)
    assert set(found) == {Dimension.AVAILABILITY, Dimension.LATENCY, Dimension.CONTAINMENT}
    assert (found[Dimension.LATENCY].value, found[Dimension.LATENCY].promised) == (10, 500)


def test_what_never_came_has_no_bound() -> None:
    never = lambda at_s: (at_s < INJECTED_S, 10.0)  # noqa: E731
    blind = trial(observations("front", never, trial=2), observations("health", well, rate_hz=5, trial=2), number=2)
    found = told(asked(), hurt(), blind)
    assert found[Dimension.RECOVERY].value is None
    assert found[Dimension.DETECTION].value is None


def test_an_experiment_that_was_cut_short_counts_only_if_it_showed_something() -> None:
    of = asked()
    held = trial(observations("front", well), observations("health", well, rate_hz=5), aborted="another check fell")
    assert measures(of, judged(of, held).result(of, 1, ()), SYSTEM) == ()
    broke = trial(observations("front", dead), aborted="the guard said so")
    assert Dimension.AVAILABILITY in {m.dimension for m in measures(of, judged(of, broke).result(of, 1, ()), SYSTEM)}


def test_the_strictest_promise_counts() -> None:
    of = experiment(BACK, RecoversWithin(checks=("front",), within_s=9), DetectedWithin(signal="health", within_s=7))
    found = {m.dimension: m for m in measures(of, judged(of, hurt()).result(of, 1, ()), SYSTEM)}
    assert (found[Dimension.RECOVERY].promised, found[Dimension.DETECTION].promised) == (BACK.within_s, 7)
    nothing = experiment(STEADY)
    found = {m.dimension: m for m in measures(nothing, judged(nothing, hurt()).result(nothing, 1, ()), SYSTEM)}
    assert (found[Dimension.RECOVERY].promised, found[Dimension.DETECTION].promised) == (None, None)
