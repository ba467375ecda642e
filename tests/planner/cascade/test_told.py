"""What is said of cascades: suspicions by what experiments gave, what was foreseen beside what was seen, a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

import pytest

from executor.measure.cascade.observed import cascade
from executor.measure.cascade.ways import Way
from executor.model.vocabulary import Verdict, Weakness
from knowledge.features import Features
from knowledge.rows import PastRow
from knowledge.topology.single_points import SinglePoint
from planner.cascade.compare import compare
from planner.cascade.observed import Observed, Seen
from planner.cascade.predict import Foreseen
from planner.cascade.standing import Said, standings
from planner.cli import cascade_view
from planner.report.propagation import propagation
from tests.executor.measure.cascade.test_cascade import CHAIN, experiment, seen

POINT = SinglePoint("d", ("use-a",), (), articulation=False)


def row(
    verdict: Verdict, *, fault: str = "service.crash", run: str = "run-1", place: str = "d", **fields: Any
) -> PastRow:
    given: dict[str, Any] = {
        "run": run,
        "system": "s",
        "experiment": "e",
        "hypothesis": "h",
        "weakness": Weakness.SINGLE_POINT_OF_FAILURE,
        "place": place,
        "statement": "s",
        "fault": fault,
        "verdict": verdict,
        "reason": "because",
        "predicted": 0.5,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "features": Features(Weakness.SINGLE_POINT_OF_FAILURE, "s", place, "service", "http", ""),
    }
    return PastRow(**{**given, **fields})


HOLDS, BREAKS, UNKNOWN, ABORTED = Verdict.HOLDS, Verdict.BREAKS, Verdict.INCONCLUSIVE, Verdict.ABORTED


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ([], Said.NOT_TRIED),
        ([row(BREAKS, place="c"), row(BREAKS, weakness=Weakness.HARD_DEPENDENCY)], Said.NOT_TRIED),
        ([row(BREAKS)], Said.CONFIRMED),
        ([row(HOLDS)], Said.NOT_CONFIRMED),
        ([row(HOLDS), row(BREAKS, fault="service.hang")], Said.CONFIRMED),
        ([row(BREAKS), row(HOLDS, run="run-2")], Said.NOT_CONFIRMED),
        ([row(BREAKS), row(HOLDS, fault="service.hang", run="run-2")], Said.CONFIRMED),
        ([row(BREAKS), row(ABORTED, run="run-2")], Said.CONFIRMED),
        ([row(UNKNOWN), row(ABORTED)], Said.UNDECIDED),
    ],
)
def test_a_suspicion_is_confirmed_by_experiment_only(past: list[PastRow], said: Said) -> None:
    (found,) = standings([POINT], past)
    assert found.said is said
    assert (found.told is None) == (said is Said.NOT_TRIED)


def test_what_one_of_several_instances_showed_says_nothing_of_the_one_that_is_left() -> None:
    two = Features(Weakness.SINGLE_POINT_OF_FAILURE, "s", "d", "service", "http", "", instances=2)
    (found,) = standings([POINT], [row(HOLDS, features=two)])
    assert found.said is Said.NOT_TRIED


def test_what_was_foreseen_is_held_against_what_was_seen() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(a=0.5, b=None, c=2.0)], (*CHAIN, ("a", "d")))
    foreseen = [
        Foreseen("c", 0.95, None, 1, ""),
        Foreseen("b", 0.7, None, 2, ""),
        Foreseen("a", 0.1, None, 3, ""),
    ]
    told = compare(foreseen, found)

    assert (told.as_foreseen, told.surprises, told.held_up, told.depth) == (("c",), ("a",), ("b",), 2)
    assert told.early == (("a", "c"),)


def test_what_fell_first_is_told_of_trials_in_which_both_fell() -> None:
    """``c`` falls late, and in the one trial in which ``a`` does not: nobody has seen one of them fall first."""
    foreseen = [Foreseen("c", 0.95, None, 1, ""), Foreseen("a", 0.95, None, 3, "")]
    apart = [seen(1, a=0.5, b=0.0, c=None), seen(2, a=0.5, b=0.0, c=None), seen(3, a=None, b=0.0, c=4.0)]
    assert compare(foreseen, cascade(experiment("a", "b", "c"), apart, CHAIN)).early == ()


def test_the_tree_says_of_nothing_that_no_dependency_leads_to_it_where_one_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``b`` fell before ``c``, so not by it; ``a`` calls ``b`` and was spared; of ``x`` nobody has asked."""
    edges = (*CHAIN, ("x", "c"))
    several = experiment("a", "b", "c", "x")
    found = cascade(several, [seen(a=None, b=0.2, c=2.0)], edges)
    foreseen = tuple(
        Foreseen(name, 0.7, Way(name, callee), hops, "") for name, callee, hops in (("a", "b", 3), ("x", "c", 2))
    )
    told = Seen(several, found, foreseen, compare(foreseen, found), (), "")
    cascade_view.observed(Observed("run-1", (told,), ()))

    shown = capsys.readouterr().out
    apart = shown.index("no known dependency leads to")
    assert shown.index("c fell") < shown.index("x cannot be told") < apart < shown.index("b fell")
    assert "─ b fell" in shown.partition("leads to")[2], shown
    assert shown.index("b fell") < shown.index("a kept its steady state")
    after = shown[apart:].splitlines()
    assert after[2].index("a kept") > after[1].index("b fell"), "below it, as it calls it"
    assert "cannot be told" in propagation(found)


def test_the_picture_has_a_row_for_each_and_an_arrow_for_each_cause() -> None:
    found = cascade(experiment("a", "b", "c"), [seen(a=None, b=1.5, c=0.0)], CHAIN)
    svg = propagation(found)

    ET.fromstring(svg)
    assert re.findall(r'class="name"[^>]*>([^<]*)<', svg) == ["d", "c", "b", "a"]
    assert re.findall(r"<title>(\w+ to \w+, in [^<]*)<", svg) == [
        "d to c, in 1 of 1 trial, a tie",
        "c to b, in 1 of 1 trial",
    ]
    assert "spared in 1 trial" in svg
    assert propagation(cascade(experiment("d"), [seen(d=0.0)], CHAIN)) == "", "nobody was at risk"
