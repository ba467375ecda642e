"""What ``murphy recover --sweep`` answers to a script: 0 only if nothing can be owed as far as is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from executor.kernel import fill
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo import sweep
from tests.planner.cli.commands import murphy


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    return Home.open()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests hold on this machine meanwhile, without a watchdog, is not looked at."""
    monkeypatch.setattr(sweep.leftovers, "leftovers", lambda _: ())
    monkeypatch.setattr(sweep, "sweep_managers", lambda: ())


def written(home: Home) -> None:
    with closing(Journal(home.journal)) as journal:
        journal.note("tester", "noted")


LOST: dict[str, Callable[[Home], object]] = {
    "damaged": lambda home: home.journal.write_bytes(b"no journal" * 1000),
    "emptied": lambda home: home.journal.write_bytes(b""),
    "removed": lambda home: home.journal.unlink(),
    "made to forget": lambda home: (home.path / "journal.db-anchor").unlink(),
}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_a_journal_that_could_not_be_looked_at_is_no_success(
    home: Home, how: str, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    written(home)
    assert murphy("recover", "--sweep", *form) == 0
    LOST[how](home)
    capsys.readouterr()
    assert murphy("recover", "--sweep", *form) == 4
    said = capsys.readouterr().out
    assert "journal.db" in said
    assert "Nothing of ours was left" not in said


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a place for the link by which a file is found")
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_what_nobody_looks_after_is_no_success(
    tmp_path: Path, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file whose executor, this process, lives, but shows no lease and has no watchdog."""
    mark = f"murphy-cli{os.getpid()}-1"
    fill.take(tmp_path, mark, 4096, 0, root=True)
    try:
        assert murphy("recover", "--sweep", *form) == 4
        said = capsys.readouterr().out
        (line,) = (line for line in said.splitlines() if mark in line)
        assert ("unwatched" in said) if form else line.startswith("Left alone, but not looked after: file ")
        assert fill.file_of(tmp_path, mark).exists()
    finally:
        fill.release(tmp_path, mark)


@pytest.mark.usefixtures("alone")
def test_where_no_journal_was_ever_there_nothing_is_owed(home: Home) -> None:
    assert murphy("recover", "--sweep") == 0
    home.journal.touch()
    assert murphy("recover", "--sweep") == 0
