"""Bisection finds a planted threshold, in no more steps than halving takes, on every fault that has a strength."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.faults.resource import Connections, CpuThrottle
from executor.model.faults.service import Crash, Error, Slowdown
from executor.model.vocabulary import Verdict
from planner.adapting.line import TRIES_MAX, WIDTH, Tried, threshold
from planner.adapting.strength import alike, axis, share, weaker

FAULTS: tuple[Fault, ...] = (
    Latency(delay_ms=3000),
    Error(probability=1),
    Connections(count=400),
    CpuThrottle(quota_percent=20),
    Slowdown(cpu_percent=20),
)


def truth(fault: Fault, strongest: Fault, planted: float) -> Verdict:
    return Verdict.BREAKS if share(fault, strongest) > planted else Verdict.HOLDS


@pytest.mark.parametrize("strongest", FAULTS, ids=lambda fault: fault.kind)
@given(planted=st.floats(0.0, 0.999))
@settings(max_examples=40)
def test_a_planted_threshold_is_found_within_the_width(strongest: Fault, planted: float) -> None:
    tried = [Tried(strongest, Verdict.BREAKS)]
    while (found := threshold(tried)) is not None and found.next is not None:
        tried.append(Tried(found.next, truth(found.next, strongest, planted)))
        assert len(tried) <= 1 + math.log2(1 / WIDTH) + 1e-9
    assert found is not None
    assert found.known
    assert found.held <= planted + 0.02
    assert planted <= found.broke


def test_what_was_mended_has_no_threshold_and_what_got_worse_has_a_lower_one() -> None:
    full, half, quarter = (Latency(delay_ms=ms) for ms in (2000, 1000, 500))
    assert threshold([Tried(full, Verdict.BREAKS), Tried(full, Verdict.HOLDS)]) is None
    assert threshold([Tried(half, Verdict.BREAKS), Tried(full, Verdict.HOLDS)]) is None
    worse = threshold([Tried(full, Verdict.BREAKS), Tried(half, Verdict.HOLDS), Tried(quarter, Verdict.BREAKS)])
    assert worse is not None
    assert (worse.held, worse.broke) == (0, 0.25)


def test_a_strength_that_decides_nothing_ends_the_line() -> None:
    full, half = Latency(delay_ms=2000), Latency(delay_ms=1000)
    tried = [Tried(full, Verdict.BREAKS)]
    for _ in range(TRIES_MAX):
        found = threshold(tried)
        assert found is not None
        assert found.next == half
        tried.append(Tried(half, Verdict.INCONCLUSIVE))
    ended = threshold(tried)
    assert ended is not None
    assert ended.next is None
    assert not ended.known


def test_only_strength_may_differ_on_a_line() -> None:
    assert alike(Latency(delay_ms=1), Latency(delay_ms=2))
    assert not alike(Error(status=503), Error(status=404))
    assert not alike(Crash(), Crash())
    assert axis(Crash()) is None
    assert axis(Latency(delay_ms=1)) == "delay_ms"
    assert threshold([Tried(Crash(), Verdict.BREAKS)]) is None


@pytest.mark.parametrize("strongest", FAULTS, ids=lambda fault: fault.kind)
@given(part=st.floats(0.1, 1))
@settings(max_examples=20)
def test_a_share_of_a_fault_is_what_share_says(strongest: Fault, part: float) -> None:
    made = weaker(strongest, part)
    assert made is not None
    assert alike(made, strongest)
    assert share(made, strongest) == pytest.approx(part, abs=0.01)
