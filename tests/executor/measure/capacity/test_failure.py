from __future__ import annotations

from typing import Any

import pytest

from executor.load.window import Window
from executor.measure.capacity.failure import failure
from tests.executor.measure.capacity.simulated import window


def _windows(good: int, due: int = 50, **failed: int) -> list[Window]:
    return [window(k * 0.2, due, good, **failed) for k in range(10)]


@pytest.mark.parametrize(
    ("windows", "known", "mode"),
    [
        (_windows(50), {}, "none"),
        (_windows(10), {}, "latency collapse"),
        (_windows(10, timeout=40), {}, "latency collapse"),
        (_windows(10, timeout=5, status_503=35), {}, "refusal"),
        (_windows(10, refused=40), {}, "refusal"),
        (_windows(10, status_500=30, reset=10), {}, "errors"),
        (_windows(10, status_500=30, reset=10), {"alive": True}, "errors"),
        (_windows(0, refused=50), {"alive": False}, "crash"),
        (_windows(0, refused=50), {"alive": False, "out_of_memory": True}, "out of memory"),
        (_windows(0, timeout=20), {}, "hang"),
        (_windows(0, unanswered=50), {"alive": True}, "hang"),
        (_windows(10, status_500=20, status_503=20), {}, "inconclusive"),
        (_windows(0, 2), {}, "inconclusive"),
        ([], {}, "inconclusive"),
        (_windows(47), {}, "inconclusive"),
    ],
)
def test_modes(windows: list[Window], known: dict[str, Any], mode: str) -> None:
    found = failure(windows, 0.95, **known)
    assert found.mode == mode, found.why


def test_shares_are_of_the_bad_ones() -> None:
    found = failure(_windows(10, timeout=5, status_503=30), 0.95)
    assert found.shares == {"refusal": 0.75, "errors": 0.0, "latency collapse": 0.25}
    assert found.why == "refusal 75%, latency collapse 25%"
