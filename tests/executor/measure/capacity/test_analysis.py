"""What the steps of one search say together; real services are in tests/executor/run/test_searches.py."""

from __future__ import annotations

import pytest

from executor.load.window import Window, histogram
from executor.measure.capacity.analysis import capacity
from executor.measure.capacity.steps import Step
from executor.model.faults.service import CapacitySearch, Overload

FAULT = Overload(rate_rps=400, search=CapacitySearch(good_within_ms=100, start_rps=50))


def step(rate_rps: int, latency_ms: float) -> Step:
    windows = []
    for number in range(20):
        took = histogram()
        for _ in range(rate_rps // 10):
            took.record_value(round(latency_ms * 1000))
        due = rate_rps // 10
        counts = {"late": 0, "dropped": 0, "skipped": 0, "good": due, "answered": due, "under_way": 1}
        latency = took.encode().decode()
        windows.append(Window(0.1 * number, 0.1, due=due, failed={}, lag_ms=0, busy=0, latency=latency, **counts))
    return Step("curve", rate_rps, tuple(windows), seconds=2)


@pytest.mark.parametrize(("rises", "knee"), [(0.01, False), (0.5, True)])
def test_a_latency_that_hardly_rises_has_no_knee(rises: float, knee: bool) -> None:
    """20 ms, and 0.01 ms more for each request/s from 200 on: a turn that is certain, and that nobody would notice."""
    steps = [step(rate, 20 + rises * max(0, rate - 200)) for rate in range(50, 401, 25)]
    found = capacity("a1", "it-1", FAULT, steps)
    assert (found.knee is not None) is knee
    assert knee or "within 20 % of its least" in found.knee_why
