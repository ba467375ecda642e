"""Load that others inherit, and load that must not spill over: real workers, bounded in number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planner.cascade.kit import Part, experience, running, settle

pytestmark = pytest.mark.slow
GONE, SILENT = 0, 1
USERS_HZ = 18.0


@pytest.mark.parametrize(("workers", "verdict"), [(1, "breaks"), (4, "holds")])
def test_whoever_is_left_carries_the_load_or_falls_under_it(
    workers: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each instance does 12.5 requests a second with each worker; users have 18."""
    parts = (
        Part("gate", ("app",), rate_hz=USERS_HZ),
        Part("app", instances=2, asked=False, settings={"workers": workers, "work_s": 0.08}),
    )
    with running(*parts) as system:
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "app", "--trials", "1")

        assert seen.planned["scenario"] == "redistribution"
        assert seen.verdict("capacity_cliff", 0) == verdict
        assert set(seen.fell(0)) == ({"gate"} if verdict == "breaks" else set())
        assert seen.figure("containment", 0) == (0 if verdict == "breaks" else 1)
        assert seen.point("app") is None, "an instance of two is no single point"
        assert seen.point("gate") == "not tried"


@pytest.mark.parametrize(("apart", "verdict"), [(False, "breaks"), (True, "holds")])
def test_endpoints_that_have_nothing_to_do_with_it_keep_their_promise_behind_a_bulkhead(
    apart: bool,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``a`` waits for ``d`` without end, with two workers; ``/own`` asks nobody and may need one of them."""
    parts = (Part("a", ("d",), own=True, settings={"workers": 2, "timeout_s": 60.0, "apart": apart}), Part("d"))
    with running(*parts) as system:
        settle(tmp_path, monkeypatch, system)
        seen = experience(capsys, "d", "--scenario", "dependency", "--trials", "1")

        assert seen.verdict("missing_bulkhead", GONE) == "holds", "nobody waits for what refuses"
        assert seen.verdict("missing_bulkhead", SILENT) == verdict
        (bulkhead,) = seen.found["cascades"][SILENT]["bulkheads"]
        assert (bulkhead["place"], bulkhead["verdict"]) == ("a->d", verdict)
        assert set(seen.fell(SILENT)) == {"a"}
