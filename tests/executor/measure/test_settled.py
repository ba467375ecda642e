"""What a trial waits for at its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor.measure.samples import Samples
from executor.measure.settled import settled
from executor.model.plan import Experiment
from tests.executor.measure.records import (
    INJECTED_S,
    REVERTED_S,
    Answer,
    counter,
    dead,
    experiment,
    faulted,
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


@pytest.mark.parametrize(
    ("then", "later_s"),
    [
        (seen, 1.5),
        (lambda until_s=0.0: seen(front=dead, health=dead, calls=fallen(REVERTED_S), until_s=until_s), 1.5),
        (lambda until_s=0.0: seen(front=lasting(1), until_s=until_s), 2.2),
        (lambda until_s=0.0: seen(front=lasting(1.6, 400, ok=True), until_s=until_s), 2.8),
        (lambda until_s=0.0: seen(health=lasting(1.5), until_s=until_s), 2.4),
        (lambda until_s=0.0: seen(calls=fallen(REVERTED_S + 1.5), until_s=until_s), 2.7),
    ],
    ids=["nothing", "all at once", "check", "latency", "signal", "edge"],
)
def test_all_must_be_as_before(then: Callable[..., Samples], later_s: float) -> None:
    if later_s > 2:
        assert not settled(ASKED, then(until_s=REVERTED_S + 1.5))
    assert settled(ASKED, then(until_s=REVERTED_S + later_s))


def test_what_was_never_well_is_not_waited_for() -> None:
    assert settled(ASKED, seen(health=lambda _: (False, 10.0), calls=lambda _: 0.0))


def test_answers_that_were_always_slow_are_no_backlog() -> None:
    assert settled(ASKED, seen(front=lambda at_s: (True, 400.0 if faulted(at_s) else 250.0)))
