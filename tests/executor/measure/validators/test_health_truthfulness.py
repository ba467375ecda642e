"""Whether a health check tells the truth: of a real service, and on made-up samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from executor.measure.validators.health_truthfulness import Matrix, matrix, validate
from executor.model.evidence import Observation, Validation
from executor.model.faults.service import Hang
from executor.model.plan import Experiment, InstanceTarget
from executor.model.probe import Check, DetectionSignal, HttpProbe
from executor.model.system import Service
from executor.model.vocabulary import Verdict
from executor.state.home import Home
from tests.executor.kit import Shelf, system_of
from tests.executor.measure import records
from tests.executor.measure.records import END_S, REVERTED_S, dead, faulted, observations, trial, well
from tests.executor.measure.validators.scenes import carried_out, experiment, said


@pytest.mark.slow
def test_a_health_check_that_looks_at_nothing_lies_and_one_that_does_what_users_do_tells_the_truth(
    home: Home, pair: tuple[Shelf, Shelf], quick: None
) -> None:
    """``front`` serves nobody without ``base``; its ``/`` says well all the same."""
    _, front = pair
    signals = tuple(
        DetectionSignal(id=name, service="front", probe=HttpProbe(url=f"http://127.0.0.1:{front.port}{path}"))
        for name, path in (("shallow", "/"), ("deep", "/via"))
    )
    plain = system_of([*pair])
    services = tuple(Service(**{**dict(s), "signals": signals if s.name == "front" else ()}) for s in plain.services)
    system = type(plain)(**{**dict(plain), "services": services})
    asked = experiment(system, Hang(), [InstanceTarget(service="base")], duration_s=3.0, baseline_s=2.5)
    found = said(carried_out(home, system, asked), "health_truthfulness")
    assert found["deep"].verdict is Verdict.HOLDS, found
    assert " 0 times well while nobody was served" in found["deep"].measured
    assert "0 false alarms" in found["deep"].measured
    assert found["shallow"].verdict is Verdict.BREAKS, found
    assert found["shallow"].measured.startswith("0 times rightly unwell")


def asked_of(*checks: dict[str, Any]) -> Experiment:
    plain = records.experiment(records.DETECTED)
    (check,), (signal,) = plain.checks, plain.signals
    made = tuple(Check(**{**dict(check), "service": "base", **fields}) for fields in checks or ({},))
    return Experiment(**{**dict(plain), "checks": made, "signals": (DetectionSignal(**dict(signal)),)})


Said = Callable[[float], tuple[bool, float]]


def judged(health: Said, front: Said = dead, *, error: str = "status 503") -> Validation:
    seen = trial(observations("front", front), observations("health", health, rate_hz=5, error=error))
    (found,) = validate(asked_of(), [seen])
    return found


def between(begin_s: float, end_s: float) -> Said:
    return lambda at_s: (not begin_s <= at_s < end_s, 10.0)


def test_right_verdicts_are_counted_and_those_around_a_change_are_not() -> None:
    """60 verdicts, two changes; each leaves out those whose window it falls into."""
    found = judged(dead)
    assert found.verdict is Verdict.HOLDS
    assert found.measured == (
        "23 times rightly unwell, 0 times well while nobody was served, 33 times rightly well, 0 false alarms, "
        "4 not counted; Matthews's correlation 1.00"
    )


def test_one_interval_late_is_no_lie_and_more_is_one() -> None:
    assert judged(between(3.2, 8.2)).verdict is Verdict.HOLDS
    assert judged(between(4.2, 8.2)).verdict is Verdict.INCONCLUSIVE, "5 of 23 may be chance"
    late = judged(between(5.0, 8.2))
    assert late.verdict is Verdict.BREAKS
    assert "9 times well while nobody was served" in late.measured


def test_false_alarms_are_no_truth_either() -> None:
    found = judged(lambda at_s: (round(at_s * 5) % 3 != 0 and dead(at_s)[0], 10.0))
    assert found.verdict is Verdict.BREAKS
    assert "0 times well while nobody was served" in found.measured


@pytest.mark.parametrize(
    ("front", "words"),
    [
        (well, "too few moments at which nobody was served"),
        (between(REVERTED_S, REVERTED_S + 1), "too few moments at which nobody was served"),
        (between(0.5, END_S), "too few moments at which all were served"),
    ],
)
def test_who_was_never_tried_has_not_proved_truthful(front: Said, words: str) -> None:
    found = judged(well if front is well else front, front)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.measured


def test_silence_is_no_verdict() -> None:
    found = judged(dead, error="no answer within 2000 ms")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.measured.startswith("0 times rightly unwell")


def test_what_serves_a_part_of_its_users_is_neither_well_nor_unwell() -> None:
    """Unless some checks are critical: then those tell."""
    series: Sequence[Sequence[Observation]] = (
        observations("front", dead),
        observations("side", well),
        observations("health", dead, rate_hz=5),
    )
    (both,) = validate(asked_of({}, {"id": "side"}), [trial(*series)])
    assert both.verdict is Verdict.INCONCLUSIVE
    (critical,) = validate(asked_of({"critical": True}, {"id": "side"}), [trial(*series)])
    assert critical.verdict is Verdict.HOLDS


def test_a_slow_answer_is_no_service() -> None:
    found = judged(dead, lambda at_s: (True, 4000.0 if faulted(at_s) else 10.0))
    assert found.verdict is Verdict.HOLDS


def test_a_check_that_was_not_asked_tells_nothing() -> None:
    experiment = asked_of()
    seen = trial(observations("front", dead)[:30], observations("health", dead, rate_hz=5))
    counted = matrix(experiment.signals[0], experiment.checks, seen)
    assert counted == Matrix(true_negatives=15, open=45)


def test_what_has_no_checks_of_its_own_or_speaks_of_one_instance_is_left_out() -> None:
    plain = records.experiment(records.DETECTED)  # its check is of front, its signal of base
    seen = trial(observations("front", dead), observations("health", dead, rate_hz=5))
    assert list(validate(plain, [seen])) == []
    asked = asked_of()
    one = tuple(DetectionSignal(**{**dict(signal), "instance": "base-1"}) for signal in asked.signals)
    assert list(validate(Experiment(**{**dict(asked), "signals": one}), [seen])) == []


def test_trials_are_counted_together_and_matthews_is_his() -> None:
    both = Matrix(90, 5, 85, 20, 1) + Matrix(0, 0, 5, 0, 2)
    assert both == Matrix(90, 5, 90, 20, 3)
    assert both.correlation == pytest.approx((90 * 90 - 5 * 20) / (95 * 110 * 95 * 110) ** 0.5)
    assert Matrix(true_negatives=9).correlation is None
    assert (both.sensitivity.good, both.sensitivity.n, both.specificity.n) == (90, 110, 95)
