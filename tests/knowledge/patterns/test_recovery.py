"""What recovery depends on: with n and interval, and what may be chance called so."""

from __future__ import annotations

import math
import random

import pytest

from executor.model.vocabulary import Verdict
from knowledge.patterns.recovery import EACH_MIN, NEVER, Recovered, recoveries, recovery_patterns
from knowledge.resilience.measures import Dimension, Measure
from tests.knowledge.patterns.histories import row


def measure(experiment: str, value: float | None, of: str = "home") -> Measure:
    return Measure(
        dimension=Dimension.RECOVERY,
        service="front",
        experiment=experiment,
        of=of,
        value=value,
        low=None,
        high=None,
        promised=None,
        weight=1,
        criticality=1,
        critical=False,
    )


def recovered(run: int, number: int, seconds: float, **factors: str) -> Recovered:
    return Recovered(f"run-{run}", f"e{number}", seconds, factors)


def test_an_experiment_recovers_with_its_slowest_check_and_never_is_slower_than_all():
    past = [
        row("run-1", "a->b", Verdict.BREAKS, fault_types=("dead",), instances=2),
        row("run-1", "a->c", Verdict.HOLDS),
    ]
    told = {
        "run-1": [measure("a-b", 2.0), measure("a-b", 5.0, "list"), measure("a-c", None), measure("gone", 1.0)],
        "run-2": [measure("a-b", 9.0)],
    }
    first, second = recoveries(past, told)
    assert (first.run, first.experiment, first.seconds) == ("run-1", "a-b", 5.0)
    assert first.factors == {"fault": "dead", "technology": "flask", "position": "leaf", "redundant": "yes"}
    assert second.seconds == NEVER


def test_what_makes_recovery_slow_is_found_with_n_and_interval():
    slow = [recovered(n % 3, n, 20 + n, technology="postgresql", position="leaf") for n in range(10)]
    fast = [recovered(n % 3, 50 + n, 1 + n / 10, technology="flask", position="leaf") for n in range(12)]
    found = recovery_patterns([*slow, *fast])
    (pattern,) = found.patterns  # of two technologies one says it all; all have the same position
    assert (pattern.factor, pattern.value, pattern.slower) == ("technology", "flask", False)
    assert pattern.certain
    assert (pattern.there.n, pattern.elsewhere.n, pattern.runs) == (12, 10, 3)
    assert pattern.there.median_s == pytest.approx(1.5)
    assert pattern.there.low_s is not None
    assert pattern.there.low_s <= 1.5 <= (pattern.there.high_s or math.inf)


def test_three_levels_are_each_held_against_all_others():
    levels = {"dead": 1.0, "slow": 5.0, "silent": NEVER}
    found = recovery_patterns(
        [recovered(n % 4, n, seconds + n / 100, fault=name) for name, seconds in levels.items() for n in range(8)]
    )
    told = {each.value: each for each in found.patterns}
    assert set(told) == set(levels)
    assert told["silent"].never == 8
    assert told["silent"].slower
    assert math.isinf(told["silent"].there.median_s)
    assert not told["dead"].slower


def test_too_few_are_not_compared():
    few = [recovered(n % 3, n, 20.0, technology="a") for n in range(EACH_MIN - 1)]
    many = [recovered(n % 3, 50 + n, 1.0, technology="b") for n in range(20)]
    assert recovery_patterns([*few, *many]).patterns == ()
    assert not recovery_patterns(few).enough
    one_run = [recovered(0, n, float(n), technology="ab"[n % 2]) for n in range(40)]
    assert not recovery_patterns(one_run).enough


def test_chance_is_rarely_called_more_than_that():
    draw = random.Random(2)
    false = 0
    for _ in range(40):
        found = recovery_patterns(
            [
                recovered(n % 5, n, draw.expovariate(1), technology=draw.choice("abc"), fault=draw.choice("xyz"))
                for n in range(40)
            ]
        )
        false += any(each.certain for each in found.patterns)
    assert false <= 5
