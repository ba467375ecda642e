"""A real outage, whose true times the service has written down, is measured to within what sampling leaves open."""

from __future__ import annotations

import anyio

from bench.recovering import Script
from bench.recovery import HEAD, Case, measured


def test_the_intervals_hold_the_true_times() -> None:
    script = Script(detected_s=0.3, back_s=0.9, reached_s=1.1, quick_s=1.6)
    row = anyio.run(measured, Case("refuses", script))
    assert row.holds("mttd")
    assert row.holds("mttr")
    assert {"recovery_detection", "recovery_failover", "recovery_warm_up"} <= set(row.figures)
    assert all(row.holds(name) for name in row.truth if name.startswith("recovery_") and name in row.figures)
    assert row.line().count("|") == HEAD.splitlines()[0].count("|")
