"""Each figure says in shapes what its numbers say, is one SVG, and is nothing where there is nothing to draw."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from executor.measure.columns import NO_STATUS, Columns, Recording
from executor.model.capacity import Capacity, Estimated
from executor.model.evidence import Event, EventKind, Observation
from executor.model.vocabulary import Environment
from knowledge.calibration import calibration
from knowledge.resilience.change_points import ChangePoint
from knowledge.resilience.score import Score
from knowledge.resilience.trends import Change, Point, Trends
from knowledge.rows import PastRun
from planner.report.alone import Drawing, alone
from planner.report.calibration_curve import calibration_curve
from planner.report.heat_map import heat_map
from planner.report.load_curve import load_curve
from planner.report.picture import LEFT, WIDTH, timeline
from planner.report.scaling import scaling
from planner.report.score_trend import score_trend
from planner.report.stability_map import stability_map
from tests.planner.report.test_load_curve import NOTHING, level


def drawn(figure: str) -> ET.Element:
    return ET.fromstring(figure)


def of(figure: str, tag: str, kind: str) -> list[ET.Element]:
    return [each for each in drawn(figure).iter(tag) if each.get("class") == kind]


def answer(at_s: float, latency_ms: float, ok: bool = True) -> Observation:
    return Observation(source="front <1>", experiment="e1", trial=1, at_s=at_s, ok=ok, latency_ms=latency_ms)


def test_a_heat_map_has_a_cell_for_each_span_and_doubling() -> None:
    seen = Recording([*(answer(0.0, 3) for _ in range(9)), answer(10.0, 3), answer(10.0, 200, ok=False)])
    figure = heat_map(seen)
    good, bad = of(figure, "rect", "cell"), of(figure, "rect", "badcell")
    assert (len(good), len(bad)) == (2, 1)
    darkest = max(good, key=lambda each: float(each.get("fill-opacity", "0")))
    assert "9 up to 4 ms" in "".join(darkest.itertext())
    assert "1 up to 256 ms, bad" in "".join(bad[0].itertext())
    assert float(bad[0].get("y", "0")) < float(good[0].get("y", "0"))
    assert heat_map(Recording([])) == ""


def happened(kind: EventKind, at_s: float, trial: int = 1, detail: str = "") -> Event:
    return Event(
        kind=kind, at_s=at_s, wall=datetime(2026, 1, 1, tzinfo=UTC), experiment="e1", trial=trial, detail=detail
    )


def across(figure: str, kind: str) -> list[tuple[float, float]]:
    """Where each rectangle of a kind begins and ends, in seconds of a picture of ten seconds from 0 on."""
    wide = (WIDTH - LEFT - 12) / 10.2
    ends = [(float(each.get("x", "0")), float(each.get("width", "0"))) for each in of(figure, "rect", kind)]
    return [(round((x - LEFT) / wide, 1), round((x + w - LEFT) / wide, 1)) for x, w in ends]


def test_a_timeline_shades_each_fault_and_spans_the_times_to_detect_and_to_recover() -> None:
    """Two faults in the first trial, the second of which goes last; in the second trial nobody noticed."""
    seen = Recording([answer(at_s, 5.0) for at_s in np.arange(0.0, 10.01, 0.5).tolist()])
    events = [
        happened(EventKind.INJECTED, 1.0),
        happened(EventKind.INJECTED, 1.5),
        happened(EventKind.IMPACT, 1.2),
        happened(EventKind.DETECTED, 1.6, detail="front-health <1> reported front"),
        happened(EventKind.DETECTED, 1.9),
        happened(EventKind.REVERTED, 2.0),
        happened(EventKind.REVERTED, 3.0),
        happened(EventKind.RECOVERED, 4.0),
        happened(EventKind.INJECTED, 6.0, trial=2),
        happened(EventKind.IMPACT, 6.1, trial=2),
        happened(EventKind.REVERTED, 7.0, trial=2),
        happened(EventKind.RECOVERED, 7.5, trial=2),
    ]
    figure = timeline(seen, events)
    assert across(figure, "fault") == [(1.0, 3.0), (6.0, 7.0)]
    assert across(figure, "span") == [(1.0, 1.6), (1.0, 4.0), (6.0, 7.5)]
    text = " ".join("".join(each.itertext()) for each in drawn(figure).iter("text"))
    assert all(told in text for told in ("time to detect", "600 ms", "time to recover", "3 s", "1.5 s"))
    titles = ["".join(each.itertext()) for each in of(figure, "line", "mark")]
    assert "detected at 1.60 s: front-health <1> reported front" in titles
    assert across(timeline(seen, events[:5]), "fault") == [(1.0, 10.2)], "one that was never undone"
    assert timeline(Recording([]), events) == ""


def test_of_many_answers_on_one_pixel_the_slowest_is_drawn_good_and_bad() -> None:
    """A million answers are a page that nobody can open."""
    seen = Recording()
    count = 200_000
    at_s, latency_ms = np.linspace(0.0, 10.0, count), np.full(count, 4.0)
    ok, none = np.ones(count, dtype=bool), np.zeros(count, dtype=np.int32)
    latency_ms[[70_000, 70_003]], ok[70_003] = (900.0, 400.0), False
    columns = Columns(at_s, ok, latency_ms, none + NO_STATUS, np.full(count, np.nan), none, none)
    seen.extend("front", columns, [""])
    figure = timeline(seen, [])
    good, bad = of(figure, "line", "good"), of(figure, "line", "bad")
    assert len(good) <= WIDTH
    assert "".join(bad[0].itertext()) == "400 ms"
    said = ["".join(each.itertext()) for each in good]
    assert any(re.fullmatch(r"900 ms; \d+ faster ones beside it", each) for each in said)
    beside = sum(int(each.split("; ")[1].split()[0]) for each in said if "; " in each)
    assert beside + len(good) + len(bad) == count
    assert len(heat_map(seen)) < 100_000


@pytest.mark.parametrize("source", ["calls:a->b", "found:orders-kept"])
def test_what_was_not_asked_has_no_row(source: str) -> None:
    seen = Recording([answer(0.0, 5.0), answer(1.0, 5.0).model_copy(update={"source": source})])
    assert source not in timeline(seen, [])
    assert "1 answers of front" in timeline(seen, [])
    assert source not in heat_map(seen)


def test_a_notebook_shows_a_figure_by_itself_and_nothing_of_it_reaches_other_figures() -> None:
    """Notebooks that are saved as pages put all their figures into one document."""
    figure = heat_map(Recording([answer(0.0, 3), answer(10.0, 3)]))
    shown = figure._repr_svg_()
    assert shown == alone(figure)
    root = drawn(shown)
    assert root.get("class") == "murphy"
    (style,) = root.iter("{http://www.w3.org/2000/svg}style")
    rules = re.findall(r"(?:^|})\s*([^{}]+?)\s*{", style.text or "")
    assert len(rules) > 10
    assert all(rule.startswith("svg.murphy") for rule in rules)
    assert heat_map(Recording([]))._repr_svg_() is None


def test_every_figure_is_one_that_a_notebook_shows() -> None:
    nothing = [
        timeline(Recording([]), []),
        heat_map(Recording([])),
        load_curve(capacity(None, None)),
        scaling(capacity(None, None)),
        stability_map([]),
        score_trend("shop", Trends((), ())),
    ]
    assert all(isinstance(each, Drawing) and not each for each in nothing)


def capacity(low: float | None, high: float | None, **more: object) -> Capacity:
    return Capacity(**{**dict(NOTHING), "low_rps": low, "high_rps": high, "limit_rps": 100.0, **more})


def test_a_stability_map_narrows_with_the_fault() -> None:
    figure = stability_map([("without", capacity(80, 90)), ("with", capacity(20, 30)), ("dead", capacity(None, None))])
    carried = [float(each.get("width", "0")) for each in of(figure, "rect", "goodcell")]
    assert carried[0] == pytest.approx(4 * carried[1], rel=0.02)
    assert carried[2] == 0
    assert len(of(figure, "rect", "badcell")) == 2
    assert stability_map([("alone", capacity(80, 90))]) == ""


def test_the_law_lies_in_its_band_and_near_its_points() -> None:
    levels = tuple(
        level(10.0 * n, 10.0 * n, "stable", 100).model_copy(update={"concurrency": float(n)}) for n in (1, 2, 4)
    )
    found = capacity(
        40,
        50,
        alone_rps=Estimated(value=10, low=9, high=11),
        contention=Estimated(value=0.02, low=0.0, high=0.05),
        coherency=Estimated(value=0.001, low=0.0, high=0.002),
        levels=tuple(
            each.model_copy(update={"concurrency": n}) for each, n in zip(levels, (1.0, 2.0, 4.0), strict=True)
        ),
    )
    figure = scaling(found)
    assert len(of(figure, "circle", "dot")) == 3
    (band,), (law,) = of(figure, "polygon", "band"), of(figure, "polyline", "good")
    corners = [tuple(map(float, each.split(","))) for each in (band.get("points") or "").split()]
    upper, lower = corners[: len(corners) // 2], corners[len(corners) // 2 :][::-1]
    line = [tuple(map(float, each.split(","))) for each in (law.get("points") or "").split()]
    assert all(u[1] <= m[1] + 0.1 and m[1] <= w[1] + 0.1 for u, m, w in zip(upper, line, lower, strict=True))
    assert scaling(NOTHING) == ""


def past(number: int) -> PastRun:
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    dev = Environment.DEVELOPMENT
    return PastRun(f"run-{number}", "p", "sha256:p", "s", "sha256:s", dev, "", "me", started, 1.0, "completed")


def point(number: int, value: float, comparable: bool = True) -> Point:
    score = Score(of="s", value=value, low=value - 0.1, high=value + 0.1, parts={}, untested=())
    return Point(run=past(number), score=score, figures={}, comparable=comparable)


def test_a_score_trend_has_a_point_a_run_and_marks_a_change() -> None:
    points = (point(1, 0.4), point(2, 0.42, comparable=False), Point(past(3), None, {}, comparable=True), point(4, 0.9))
    change = Change("score", "", ChangePoint(at=2, before=0.4, after=0.9, p_value=0.01), past(4), better=True)
    figure = score_trend("s", Trends(points, (change,)))
    assert (len(of(figure, "circle", "dot")), len(of(figure, "circle", "ring"))) == (2, 1)
    first, last = of(figure, "circle", "dot")
    assert float(last.get("cy", "0")) < float(first.get("cy", "0"))
    assert [each.text for each in of(figure, "text", "mark")] == ["better"]
    whole = ET.fromstring(alone(figure))
    assert whole.tag == "{http://www.w3.org/2000/svg}svg"
    assert next(iter(whole)).tag.endswith("style")
    assert score_trend("s", Trends((), ())) == alone("") == ""


def test_a_calibration_curve_has_a_point_for_each_bin_hollow_where_it_is_off() -> None:
    found = calibration([(0.05, False)] * 30 + [(0.55, True), (0.55, False)] + [(0.95, False)] * 10, 10)
    assert found is not None
    figure = calibration_curve(found)
    on, off = of(figure, "circle", "dot"), of(figure, "circle", "ring")
    assert (len(on), len(off)) == (2, 1)
    assert "said 95%, came true 0% of 10" in "".join(off[0].itertext())
    assert float(on[0].get("r", "0")) > float(on[1].get("r", "0")), "the more there are, the larger"
    assert float(on[0].get("cy", "0")) > float(on[1].get("cy", "0")) > 0
