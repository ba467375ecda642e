"""A real outage, whose true times the service has written down, is measured to within what sampling leaves open."""

from __future__ import annotations

import anyio

from bench.recovering import Script
from bench.recovery import HEAD, Case, measured


def test_the_intervals_hold_the_true_times() -> None:
    script = Script(detected_s=0.3, back_s=0.9, reached_s=1.3, quick_s=1.3)
    row = anyio.run(measured, Case("refuses", script, promised_s=9))  # a slow machine must not look like a slow service
    parts = [name for name in row.figures if name.startswith("recovery_")]
    assert {"recovery_detection", "recovery_failover"} <= set(parts)
    assert all(row.holds(name) for name in ("mttd", "mttr", *parts))
    assert row.line().count("|") == HEAD.splitlines()[0].count("|")
