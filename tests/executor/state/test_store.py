"""The journal's file: many processes at once, files of earlier versions, files that are not ours."""

from __future__ import annotations

import gzip
import multiprocessing
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from executor import clock
from executor.errors import SafetyRefusalError, UnavailableError
from executor.state import audit
from executor.state import journal as module
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit

VERSION_1 = Path(__file__).with_name("journal-1.db.gz")
"""Written by Murphy 0.1.0 of 23 November 2026: a run that ended, and one that died and owes a revert."""
PROCESSES, ROUNDS = 8, 12


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    path.write_bytes(gzip.decompress(VERSION_1.read_bytes()))
    return path


def test_a_journal_of_version_1_keeps_all_that_it_holds(earlier: Path) -> None:
    for _ in range(2):  # the second opening finds it as it should be
        journal = Journal(earlier)
        assert [(i.kind, i.state, i.error, i.record) for i in journal.pending()] == [
            ("service.hang", "owed", "no way", {"pid": 1})
        ]
        assert [row.run for row in journal.running()] == ["run-2"]
        assert (journal.used("1" * 32), journal.used("2" * 32)) == (("run-1",), ("run-2",))
        journal.close()
    seen = audit.verify(Home(earlier.parent))
    assert (seen.intact, seen.entries) == (True, 11)


def test_an_approval_used_under_version_1_stays_used(earlier: Path) -> None:
    journal = Journal(earlier)
    with pytest.raises(SafetyRefusalError, match="used by run-1"):
        admit(journal, "run-3", "1" * 32)
    admit(journal, "run-3", "3" * 32)
    assert len(journal.installation) == 32
    journal.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.state.schema._FROM_1", "DROP TABLE approvals;\nSELECT * FROM none_such;\n")
    with pytest.raises(UnavailableError, match="none_such"):
        Journal(earlier)
    monkeypatch.undo()
    journal = Journal(earlier)
    assert journal.used("1" * 32) == ("run-1",)
    journal.close()


def test_a_copy_a_new_journal_and_another_machine_are_other_installations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, copy = tmp_path / "here", tmp_path / "copy"
    here.mkdir()

    def installation(directory: Path) -> str:
        journal = Journal(directory / "journal.db")
        try:
            return journal.installation
        finally:
            journal.close()

    first = installation(here)
    assert installation(here) == first
    shutil.copytree(here, copy)
    (tmp_path / "new").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(module, "machine", lambda: "another")
        elsewhere = installation(here)
    assert clock.machine() == clock.machine() != ""
    assert len({first, elsewhere, installation(copy), installation(tmp_path / "new")}) == 4


def _open_each(paths: list[str], gate: Any, results: Any) -> None:
    for path in paths:
        gate.wait(60)
        try:
            journal = Journal(Path(path))
            journal.note("tester", "opened")
            journal.close()
            results.put("")
        except UnavailableError as error:
            results.put(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True], ids=["new", "version 1"])
def test_processes_that_open_one_file_at_once_all_get_it(tmp_path: Path, old: bool) -> None:
    paths = [str(tmp_path / f"{number}.db") for number in range(ROUNDS)]
    for path in paths if old else []:
        Path(path).write_bytes(gzip.decompress(VERSION_1.read_bytes()))
    spawn = multiprocessing.get_context("spawn")
    gate, results = spawn.Barrier(PROCESSES), spawn.Queue()
    processes = [spawn.Process(target=_open_each, args=(paths, gate, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    errors = [results.get(timeout=120) for _ in range(PROCESSES * ROUNDS)]
    for process in processes:
        process.join(60)
    assert set(errors) == {""}
    for path in paths:
        db = sqlite3.connect(path)
        (noted,) = db.execute("SELECT count(*) FROM audit WHERE what = 'opened'").fetchone()
        db.close()
        assert noted == PROCESSES


def test_a_file_that_is_not_ours_or_too_new_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(UnavailableError, match="schema version 0"):
        Journal(foreign)
    newer = tmp_path / "journal.db"
    Journal(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UnavailableError, match="99"):
        Journal(newer)
    text = tmp_path / "text.db"
    text.write_text("not a database at all, but long enough to be taken for one" * 20, encoding="utf-8")
    with pytest.raises(UnavailableError):
        Journal(text)


def test_a_second_connection_of_a_process_costs_the_first_none_of_its_locks(tmp_path: Path) -> None:
    """Else the next process to leave takes itself for the last one, and removes the log under the one that writes."""
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.note("tester", "first")
    Journal(path).close()
    leave = multiprocessing.get_context("spawn").Process(target=_come_and_go, args=(str(path),))
    leave.start()
    leave.join(60)
    assert leave.exitcode == 0
    assert path.with_name("journal.db-wal").exists()
    journal.close()


def _come_and_go(path: str) -> None:
    other = Journal(Path(path))
    other.note("other", "came")
    other.close()
