"""What a trial waits for at its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor.measure.samples import Samples
from executor.measure.settled import settled
from executor.model.criteria import SteadyState
from executor.model.evidence import Observation
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict
from tests.executor.measure.records import (
    END_S,
    INJECTED_S,
    REVERTED_S,
    Answer,
    counter,
    dead,
    experiment,
    faulted,
    judged,
    observations,
    trial,
    well,
)
from tests.executor.measure.records import STEADY as ANY

ASKED: Experiment = experiment(ANY)


def seen(
    front: Callable[[float], Answer] = well,
    health: Callable[[float], Answer] = well,
    calls: Callable[[float], float] = lambda _: 20.0,
    until_s: float = REVERTED_S + 1.5,
) -> Samples:
    """A trial as it is known at a moment of its recovery."""
    series = (observations("front", front), observations("health", health, rate_hz=5), counter(calls))
    return trial(*[[o for o in one if o.at_s < until_s] for one in series], end_s=until_s)


def fallen(until_s: float) -> Callable[[float], float]:
    return lambda at_s: 1.0 if INJECTED_S <= at_s < until_s else 20.0


def lasting(length_s: float, latency_ms: float = 10.0, *, ok: bool = False) -> Callable[[float], Answer]:
    """Until so long after the fault it is not as it was before."""
    return lambda at_s: (ok, latency_ms) if INJECTED_S <= at_s < REVERTED_S + length_s else (True, 10.0)


def unwell_from(begin_s: float, length_s: float) -> Callable[[float], Answer]:
    """It notices only once Murphy has begun to take the fault away."""
    return lambda at_s: (not begin_s <= at_s < begin_s + length_s, 10.0)


@pytest.mark.parametrize(
    ("then", "later_s"),
    [
        (seen, 1.5),
        (lambda until_s=0.0: seen(front=dead, health=dead, calls=fallen(REVERTED_S), until_s=until_s), 1.5),
        (lambda until_s=0.0: seen(front=lasting(1), until_s=until_s), 2.2),
        (lambda until_s=0.0: seen(front=lasting(1.6, 400, ok=True), until_s=until_s), 2.8),
        (lambda until_s=0.0: seen(health=lasting(1.5), until_s=until_s), 2.4),
        (lambda until_s=0.0: seen(health=unwell_from(REVERTED_S + 0.2, 1.4), until_s=until_s), 2.4),
        (lambda until_s=0.0: seen(calls=fallen(REVERTED_S + 1.5), until_s=until_s), 2.7),
    ],
    ids=["nothing", "all at once", "check", "latency", "signal", "late signal", "edge"],
)
def test_all_must_be_as_before(then: Callable[..., Samples], later_s: float) -> None:
    if later_s > 2:
        assert not settled(ASKED, then(until_s=REVERTED_S + 1.5))
    assert settled(ASKED, then(until_s=REVERTED_S + later_s))


def test_what_was_never_well_is_not_waited_for() -> None:
    assert settled(ASKED, seen(health=lambda _: (False, 10.0), calls=lambda _: 0.0))


def test_what_the_trial_did_not_wait_for_is_not_broken() -> None:
    """Of what always takes 1.5 s nobody waits for the last answers."""

    def slow(source: str, rate_hz: float) -> list[Observation]:
        seen = observations(source, lambda at_s: (not faulted(at_s), 1500.0), rate_hz=rate_hz)
        fields = {"ok": False, "error": "unanswered", "latency_ms": 1100.0}
        return [o.model_copy(update=fields) if o.at_s > END_S - 0.7 else o for o in seen]

    seen = trial(slow("front", 10), slow("health", 5))
    assert settled(ASKED, seen)
    ending = SteadyState(checks=("front",), phase=Phase.RECOVERY)
    assert judged(experiment(ending), seen).hypotheses[0].verdict is Verdict.HOLDS
    hung = [o.model_copy(update={"latency_ms": 9000.0}) if o.error == "unanswered" else o for o in slow("front", 10)]
    assert not settled(ASKED, trial(hung, observations("health", dead, rate_hz=5)))


def test_how_fast_a_check_is_that_is_seldom_asked() -> None:
    asked = experiment(ANY, rate_hz=1)
    slow = observations("front", lambda at_s: (True, 400.0 if at_s >= INJECTED_S else 10.0), rate_hz=1)
    assert not settled(asked, trial(slow))
    assert settled(asked, trial(observations("front", well, rate_hz=1)))


def test_answers_that_were_always_slow_are_no_backlog() -> None:
    assert settled(ASKED, seen(front=lambda at_s: (True, 400.0 if faulted(at_s) else 250.0)))
