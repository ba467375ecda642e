"""The picture of a capacity."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from executor.measure.capacity.analysis import capacity
from executor.model.capacity import Capacity, CapacityLevel
from executor.model.faults.service import CapacitySearch, Overload
from planner.capacity import told
from planner.report.load_curve import load_curve

NOTHING = capacity("a1", "front-1", Overload(rate_rps=100, search=CapacitySearch(good_within_ms=100)), ())


def level(offered: float, good: float, outcome: str, ms: float | None) -> CapacityLevel:
    return CapacityLevel.model_validate(
        {
            "offered_rps": offered,
            "goodput_rps": good,
            "outcome": outcome,
            "latency_p50_ms": ms,
            "latency_p95_ms": None,
            "latency_p99_ms": None,
            "concurrency": 1.0,
            "n": 50,
        }
    )


def test_nothing_seen_says_so_and_draws_nothing() -> None:
    assert (NOTHING.maximum, NOTHING.cliff, NOTHING.scaling, NOTHING.saturated, NOTHING.after) == (
        *("inconclusive",) * 3,
        "unknown",
        "inconclusive",
    )
    assert load_curve(NOTHING) == ""
    assert all(text for _, text in told(NOTHING))


def test_each_rate_is_a_line_and_what_could_not_be_made_is_none() -> None:
    levels = (level(10, 10, "stable", 5), level(20, 12, "violated", 80), level(40, 1, "unreachable", 90))
    found = Capacity(**{**dict(NOTHING), "levels": levels, "low_rps": 10.0, "high_rps": 20.0, "maximum": "found"})
    drawn = ET.fromstring(load_curve(found))
    kinds = [line.get("class") for line in drawn.iter("line")]
    assert (kinds.count("good"), kinds.count("bad"), kinds.count("mark")) == (1, 1, 1)
    assert [text.text for text in drawn.iter("text") if text.get("class") == "mark"] == ["carries 10"]
    assert dict(told(found))["largest rate that is answered 95 % of them within 100 ms"].startswith("between 10 and 20")
