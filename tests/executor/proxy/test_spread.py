"""How delays are spread: the same dice for the same seed, so no clock is asked here."""

from __future__ import annotations

import statistics

import pytest

from executor.proxy.faults import Fault, Spec

COUNT = 20_000


def _delays_ms(distribution: str) -> list[float]:
    data = {"kind": "delay", "delay_ms": 100, "jitter_ms": 20, "distribution": distribution, "seed": 7}
    fault = Fault("m1", Spec.parse(data, "http"), "a->b")
    return sorted(fault.delay_s() * 1000 for _ in range(COUNT))


def test_evenly() -> None:
    late = _delays_ms("uniform")
    assert (late[0], late[-1]) == (pytest.approx(80, abs=0.1), pytest.approx(120, abs=0.1))
    assert statistics.mean(late) == pytest.approx(100, abs=0.5)


def test_normally() -> None:
    late = _delays_ms("normal")
    assert statistics.mean(late) == pytest.approx(100, abs=0.5)
    assert statistics.pstdev(late) == pytest.approx(20, abs=0.5)
    assert late[-1] > 150


def test_with_a_long_tail() -> None:
    late = _delays_ms("pareto")
    assert late[0] >= 100
    assert late[COUNT // 2] == pytest.approx(100 + 20 * (2**0.5 - 1), abs=1)  # the median of this distribution
    assert statistics.mean(late) == pytest.approx(120, abs=3)
    assert late[-1] > 300


def test_in_no_other_way() -> None:
    with pytest.raises(ValueError, match="distribution must be one of uniform, normal, pareto, not 'poisson'"):
        _delays_ms("poisson")
