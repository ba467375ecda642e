"""The audit trail's commands, as a person or a program gives them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from executor.state.home import Home
from executor.state.journal import Journal
from tests.planner.cli.commands import murphy, refused, told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    made = Home.open()
    with closing(Journal(made.journal)) as journal:
        for number in range(3):
            journal.note("tester", "noted", number=number, words="→ [red]plain[/red]")
    return made


def test_what_was_exported_is_checked_without_the_journal(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, head = tmp_path / "trail.jsonl", told(capsys, "audit", "verify")["head"]
    assert murphy("audit", "export", "-o", str(file)) == 0
    assert murphy("audit", "export") == 0
    assert capsys.readouterr().out == file.read_text(encoding="utf-8")
    home.journal.unlink()
    assert murphy("audit", "verify", "--file", str(file), "--head", head) == 0
    assert capsys.readouterr().out.strip() == f"Intact: 3 rows, the last with hash {head}."
    file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    assert murphy("audit", "verify", "--file", str(file), "--head", head) == 1
    assert f"no row has the hash {head}" in capsys.readouterr().out
    home.journal.write_bytes(b"")
    assert "cannot be written: Is a directory" in refused("audit", "export", "-o", str(home.path))


def test_an_emptied_journal_is_not_intact(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert murphy("audit", "verify") == 0
    home.journal.write_bytes(b"")
    assert murphy("audit", "verify", "--json") == 1
    found = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (found["intact"], found["faults"]) == (False, ["the audit trail has 0 rows, and 3 were written"])


def test_the_latest_rows_are_shown_as_they_are(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["detail"]["number"] for row in told(capsys, "audit", "show", "--last", "2")] == [1, 2]
    assert murphy("audit", "show", "--last", "1") == 0
    assert capsys.readouterr().out.rstrip().endswith("number 2, words → [red]plain[/red]")
