"""A chain of real processes: it falls call by call, or as far as the first that does without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from executor.safety.limits import Limits
from tests.executor.kit import LIMITS, proxied
from tests.planner.cascade.kit import Experience, Part, experience, running, settle
from tests.planner.cli.commands import murphy

GONE, SILENT = 0, 1
DEPENDENCY = ("--scenario", "dependency", "--trials", "1")


def test_without_fallback_it_falls_to_the_end_and_what_is_kept_delays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``b`` answers for 1.5 s from what it had, so it falls later than ``c``, and ``a`` with it."""
    parts = (Part("a", ("b",)), Part("b", ("c",), settings={"keep_s": 1.5}), Part("c", ("d",)), Part("d"), Part("z"))
    limits = Limits.model_validate({**LIMITS.model_dump(), "allowed_faults": ("service.crash",)})
    with running(*parts) as system:
        settle(tmp_path, monkeypatch, system, limits)
        seen = experience(capsys, "d", *DEPENDENCY)

        assert {each["said"] for each in seen.planned["single_points"]} == {"not tried"}
        assert any("is left out: action" in note for note in seen.planned["notes"]), "silence was not allowed"
        _fell_to_the_end(seen, GONE)
        kept = seen.links(GONE)["b->c"]
        assert kept["ties"] == 0
        assert 1.0 < kept["lag"]["value"] < 2.0
        assert {name: seen.point(name) for name in "abcd"} == {**dict.fromkeys("abc", "not tried"), "d": "confirmed"}

        assert murphy("cascade", "--of", seen.run["run"]) == 0
        shown = capsys.readouterr().out
        assert shown.index("d struck") < shown.index("c fell") < shown.index("b fell") < shown.index("a fell")
        assert "depth, calls (expected 3): 3" in shown
        assert murphy("report", "-o", "report.html") == 0
        assert "What fell after d: c after" in Path("report.html").read_text(encoding="utf-8")
        assert murphy("report", "-o", "report.md") == 0
        markdown = Path("report.md").read_text(encoding="utf-8")
        assert re.search(r"\| `d` \| `b` \| 1\.\d+ s \| `c` \| 1 of 1 trial \|", markdown)
        assert murphy("evidence", "--recompute") == 0


def _fell_to_the_end(seen: Experience, nth: int) -> None:
    fell = seen.fell(nth)
    assert set(fell) == {"a", "b", "c"}, "z has nothing to do with it"
    assert [fell[name]["hops"] for name in "cba"] == [1, 2, 3]
    assert set(seen.links(nth)) == {"a->b", "b->c", "c->d"}
    assert seen.figure("cascade_depth", nth) == 3
    assert seen.figure("containment", nth) == 0
    compared = seen.found["cascades"][nth]["compared"]
    assert (compared["as_foreseen"], compared["surprises"], compared["depth"]) == (["a", "b", "c"], [], 3)


@pytest.mark.slow
def test_what_is_silent_is_felt_to_the_end_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each waits a second for the next; whoever asks from then on waits in vain, whomever he asks."""
    with running(Part("a", ("b",)), Part("b", ("c",)), Part("c", ("d",)), Part("d")) as system:
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "d", *DEPENDENCY)

        for nth in (GONE, SILENT):
            _fell_to_the_end(seen, nth)
        assert sum(link["ties"] for link in seen.links(SILENT).values()) >= 2, "nobody can tell who fell first"


@pytest.mark.slow
def test_what_does_without_ends_it_and_the_graphs_suspicion_is_not_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No edge says that ``b`` is content without ``c``: only the experiment does."""
    parts = (
        Part("a", ("b",), settings={"timeout_s": 2.0}),
        Part("b", ("c",), settings={"timeout_s": 0.4, "soft": True}),
        Part("c", ("d",)),
        Part("d"),
    )
    with running(*parts) as system:
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "d", *DEPENDENCY)

        for nth in (GONE, SILENT):
            assert set(seen.fell(nth)) == {"c"}
            assert seen.figure("cascade_depth", nth) == 1
            assert seen.figure("containment", nth) == pytest.approx(2 / 3)
            assert seen.found["cascades"][nth]["compared"]["held_up"] == ["a", "b"]
        assert seen.point("d") == "not confirmed"


@pytest.mark.slow
def test_a_chain_is_slow_before_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``front`` gives up on ``base`` after half a second, and fails with it."""
    with proxied(tmp_path) as (_, system):
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "base", "--trials", "2")

        assert seen.planned["scenario"] == "linear"
        kinds = [
            each["actions"][0]["fault"]["kind"] for s in seen.planned["plan"]["stages"] for each in s["experiments"]
        ]
        assert kinds == ["network.latency", "service.crash"]
        assert seen.verdict("missing_timeout", 0) == "holds"
        for nth in (0, 1):
            (front,) = seen.found["cascades"][nth]["fallen"]
            assert (front["service"], front["seen"]) == ("front", {"good": 2, "n": 2})
        assert seen.point("base") == "confirmed"


@pytest.mark.slow
def test_in_a_tree_each_branch_is_judged_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = (
        Part("a", ("b", "c"), settings={"timeout_s": 3.0}),
        Part("b", ("d",), settings={"timeout_s": 0.4, "soft": True}),
        Part("c", ("d",)),
        Part("d"),
    )
    with running(*parts) as system:
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "d", "--trials", "1")

        assert seen.planned["scenario"] == "tree"
        assert any("b->d cannot be delayed here" in note for note in seen.planned["notes"])
        for nth in (0, 1):
            assert set(seen.fell(nth)) == {"a", "c"}
            assert set(seen.links(nth)) == {"a->c", "c->d"}
            assert seen.found["cascades"][nth]["spared"] == ["b"]
        assert seen.point("d") == "confirmed"
