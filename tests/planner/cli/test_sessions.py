"""``murphy sessions`` and ``murphy plan --from``: what was planned is listed, gone on from, and forgotten."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from planner.cli.sessions import age
from tests.planner.cli.commands import murphy, refused, told
from tests.planner.standing import standing_bazaar


def test_ages_are_told_in_the_largest_unit() -> None:
    now = datetime.now(UTC)
    ages = [age(now - timedelta(seconds=seconds), now) for seconds in (-5, 8, 730, 7300, 3 * 86_400)]
    assert ages == ["0 s", "8 s", "12 min", "2 h", "3 d"]


def test_a_session_is_listed_gone_on_from_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MURPHY_EXPERTS", "offline")
    assert murphy("sessions") == 0
    assert "There is no planning session yet" in capsys.readouterr().out
    with standing_bazaar(tmp_path) as system:
        Path("system.yaml").write_text(system.model_dump_json(), encoding="utf-8")
        assert murphy("plan", "--seconds", "200", "--experiments", "3") == 0
        first = json.loads(Path("plan.json").read_text(encoding="utf-8"))
        Path("system.yaml").unlink()  # a branch is of the system that the session knows
        assert murphy("plan", "--from", first["id"], "--experiments", "1", "-o", "one.json") == 0
    branch = json.loads(Path("one.json").read_text(encoding="utf-8"))
    assert branch["id"].startswith("fork-")
    assert sum(len(stage["experiments"]) for stage in branch["stages"]) == 1

    newest, oldest = told(capsys, "sessions")
    assert (oldest["session"], oldest["stands"]) == (first["id"], "waits for approval")
    assert newest["session"] == branch["id"]
    assert newest["origin"].startswith(f"{first['id']}@")
    steps = told(capsys, "sessions", first["id"])
    assert [step["node"] for step in steps][:3] == ["start", "recall", "brief"]
    assert murphy("sessions") == 0
    assert murphy("sessions", first["id"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"branch of {first['id']}@" in shown
    assert f"murphy plan --from {first['id']}@STEP goes on" in shown

    assert murphy("sessions", first["id"], "--forget") == 0
    assert murphy("sessions", "--forget") == 0
    assert "1 session forgotten.\n0 sessions forgotten." in capsys.readouterr().out
    assert [past["session"] for past in told(capsys, "sessions")] == [branch["id"]]
    assert "no planning session of that name" in refused("sessions", first["id"])
    assert "no planning session of that name" in refused("plan", "--from", first["id"])
    assert "several of --again" in refused("plan", "--from", branch["id"], "--again", "a/b")
