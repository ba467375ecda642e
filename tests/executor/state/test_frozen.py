"""What a journal holds is to be had where the journal itself cannot be used."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.safety.settle import settled
from executor.state import audit
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recovery
from planner.shelf import Shelf
from tests.executor.injections import admit, arm


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    made = Journal(home.journal)
    yield made
    made.close()


def copies() -> set[Path]:
    return set(Path("/dev/shm").glob("murphy-journal-*"))


def test_it_has_all_that_the_log_holds_and_takes_nothing(home: Home, journal: Journal) -> None:
    admit(journal)
    armed = arm(journal)
    assert home.journal.stat().st_size < home.journal.with_name("journal.db-wal").stat().st_size  # all is in the log
    held = copies()
    frozen = Journal.frozen(home, why="the disk is full")
    assert copies() == held, "nothing stays if we are killed"
    assert frozen.pending() == [armed]
    assert (frozen.installation, frozen.used("run-1")) == (journal.installation, ("run-1",))
    with pytest.raises(UnavailableError, match="cannot be written: the disk is full"):
        frozen.note("tester", "noted")
    with pytest.raises(UnavailableError, match="cannot be written"):
        frozen.reverted(armed.id, by="tester", verified=True)
    journal.reverted(armed.id, by="tester", verified=True)
    assert frozen.pending() == [armed]  # as it was then
    frozen.close()
    frozen.close()
    assert copies() == held


def test_reading_costs_the_process_none_of_its_locks(home: Home, journal: Journal) -> None:
    """Else the next process to leave takes itself for the last one, and removes the log under the one that writes."""
    journal.note("tester", "first")
    for _ in range(2):
        Journal.frozen(home).close()
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM audit').fetchall()"
    subprocess.run([sys.executable, "-c", code + "; db.close()", str(home.journal)], check=True, timeout=60)
    assert home.journal.with_name("journal.db-wal").exists()


def test_it_is_whole_while_another_process_writes(home: Home, journal: Journal) -> None:
    code = (
        "import sys; from pathlib import Path; from executor.state.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in range(100_000): journal.note('writer', 'noted', number=n)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(home.journal)], stderr=subprocess.DEVNULL) as writer:
        try:
            seen = 0
            for _ in range(5):
                try:
                    frozen = Journal.frozen(home)
                except UnavailableError as error:
                    assert "written to all the time" in str(error)
                    continue
                rows = frozen.store.read("SELECT seq FROM audit ORDER BY seq")
                frozen.close()
                assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
                assert len(rows) >= seen
                seen = len(rows)
        finally:
            writer.kill()


def test_undoing_takes_the_journal_itself_if_it_can(home: Home, journal: Journal) -> None:
    usable = Journal.to_undo(home)
    usable.note("tester", "noted")
    usable.close()
    assert len(journal.store.read("SELECT * FROM audit")) == 1


def test_what_others_write_after_a_copy_is_not_missing_in_it(home: Home, journal: Journal) -> None:
    journal.note("tester", "noted")
    with closing(Journal.frozen(home)) as copy:
        journal.note("tester", "noted")
        assert copy.altered() == ""


@pytest.mark.timeout(20)
def test_a_copy_that_somebody_left_who_was_killed_is_removed(home: Home, journal: Journal) -> None:
    old, new = (Path(tempfile.mkdtemp(prefix="murphy-journal-", dir="/dev/shm")) for _ in range(2))
    (old / "journal.db").touch()
    os.utime(old, (1, 1))
    pipe = old.with_name(f"{old.name}.pipe")  # at which nobody may be kept waiting
    os.mkfifo(pipe)
    os.utime(pipe, (1, 1))
    try:
        Journal.frozen(home, why="the disk is full").close()
        assert (old.exists(), new.exists()) == (False, True)
    finally:
        new.rmdir()
        pipe.unlink()


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_hangs_nobody(home: Home) -> None:
    os.mkfifo(home.journal)
    for ask in (Journal.to_undo, audit.verify, settled, recovery):
        with pytest.raises(UnavailableError, match="not a regular file"):
            ask(home)
    os.mkfifo(home.sessions)
    with pytest.raises(UnavailableError, match="not a regular file"):
        Shelf(home.sessions)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["journal.db", "journal.db-wal"])
def test_what_has_no_end_or_is_huge_fills_no_memory(home: Home, part: str) -> None:
    Journal(home.journal).close()
    path, held = home.path / part, copies()
    path.unlink(missing_ok=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        path.symlink_to("/dev/zero")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**24, before[1]))  # what would be copied all the same ends there
        with pytest.raises(UnavailableError, match="not a regular file"):
            Journal.frozen(home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    path.unlink()
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(UnavailableError, match="File too large"):
        Journal.frozen(home)
    assert copies() == held


def test_what_is_damaged_or_not_there_is_said(home: Home) -> None:
    with pytest.raises(UnavailableError, match="neither used nor copied"):
        Journal.frozen(home)
    db = sqlite3.connect(home.journal)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(UnavailableError, match="schema version 0"):
        Journal.to_undo(home)
    home.journal.write_bytes(b"no database at all " * 500)
    with pytest.raises(UnavailableError):
        Journal.to_undo(home)
