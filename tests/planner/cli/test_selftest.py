"""What ``murphy selftest`` says at its end; that it runs at all is in tests/crash."""

from __future__ import annotations

from typing import Any

import pytest

from executor.selftest import matrix
from executor.selftest.cases import Case
from executor.selftest.matrix import Summary
from planner.cli.main import app


def answer(case: Case, *residues: str) -> dict[str, Any]:
    return {
        "case": case.plain(),
        "residues": list(residues),
        "alive": {"watchdog": 3, "parent_death": 1},
        "missed": False,
        "recovered": True,
        "seconds": 1.0,
        "place": "kept/case-2",
    }


def ends_with(summary: Summary, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Stands in for the minute that a real one takes: a real one leaves nothing, and here something is to be left."""
    monkeypatch.setattr(matrix, "run", lambda *_, **__: summary)
    code = app(["selftest", *arguments], standalone_mode=False)
    assert isinstance(code, int)
    return code


def test_what_was_left_is_named_with_its_seed_and_moment_and_ends_with_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = answer(Case("instant", 2, "power cut", event=9, at_s=0.25), "in the end: helper: executor.x 17")
    summary = Summary(7, [answer(Case("undisturbed")), left], {"disk full": "mounting a small disk needs root"}, 61.0)
    assert ends_with(summary, monkeypatch, "--seed", "7") == 4
    said = capsys.readouterr().out
    assert "    1  instant" in said
    assert " none  disk full: left out, since mounting a small disk needs root" in said
    assert "parent death in 2, watchdog in 2 cases" in said
    assert "Kept in kept/case-2: case 2, instant: power cut 0.2500 s after event 9: in the end: helper:" in said
    assert said.splitlines()[-1] == "2 cases, 1 residues, 61 s, seed 7."


def test_nothing_left_ends_with_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(7, [answer(Case("undisturbed"))])
    assert ends_with(summary, monkeypatch, "--seed", "7", "--json") == 0
    assert '"residues": 0' in capsys.readouterr().out
