"""A damaged row of the journal stops nobody from undoing: whatever it says, the fault goes, or is said to be owed."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from executor.errors import SafetyRefusalError
from executor.kernel import process
from executor.model.system import System
from executor.safety.limits import Limits
from executor.safety.radius import joint
from executor.safety.settle import settled
from executor.state import audit
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recovery
from tests.executor.injections import REACH
from tests.executor.kit import Shelf, shelves, until

_MURDERED = """
import os, signal, sys
from executor.kernel import process
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit, arm

home = Home.open(sys.argv[1])
home.run_dir("run-1")
pid, ticks = int(sys.argv[2]), int(sys.argv[3])
record = {"pid": pid, "ticks": ticks, "members": [[pid, ticks]]}
journal = Journal(home.journal)
admit(journal)
armed = arm(journal, record=record)
undo_notes.keep(home, armed, record)
process.send(pid, ticks, signal.SIGSTOP)
assert journal.injected(armed.id, record)
os.kill(os.getpid(), signal.SIGKILL)
"""
VALUES: tuple[Any, ...] = (None, "x", "[1, {}]", '{"targets": [1]}', -7, 2**62, 1.5, b"\xff\x00", "\x00", "a/../b")
COLUMNS = {
    "runs": "run plan_digest environment nonce pid start_ticks boot_id instances services faults targets started"
    " outcome ended",
    "injections": "id run experiment trial action kind subject mark record state expires boot_id error by armed"
    " reverted",
}
SOME = ("x", -7)
OTHERS = tuple(value for value in VALUES if value not in SOME)
EACH = [(table, column) for table, columns in COLUMNS.items() for column in columns.split()]


@pytest.fixture(scope="module")
def service() -> Iterator[Shelf]:
    with shelves("base") as (made,):
        yield made


@pytest.fixture(scope="module")
def scene(service: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose executor was killed with its fault in place, and no watchdog."""
    found = service.found()
    assert found is not None
    path = tmp_path_factory.mktemp("scene") / "home"
    argv = [sys.executable, "-c", _MURDERED, str(path), str(found.pid), str(found.start_ticks)]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    return path


def again(scene: Path, service: Shelf, to: Path, *, noted: bool) -> Home:
    """The same once more, in a home of its own."""
    found = service.found()
    assert found is not None
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    home = Home(Path(shutil.copytree(scene, to)))
    if not noted:
        (note,) = home.runs.glob("*/undo-*.json")
        note.unlink()
    until(service.stopped, what="it does not stand still")
    return home


def damage(home: Home, table: str, column: str, value: object) -> bool:
    """Put a value where the table's own rules would not let it be; whether it is another one now."""
    with closing(sqlite3.connect(home.journal, isolation_level=None)) as db:
        (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        loose = re.sub(r" NOT NULL| CHECK \(state IN \([^)]*\)\)|(?<=\)) STRICT", "", sql)
        _rewrite(db, table, loose)
    with closing(sqlite3.connect(home.journal, isolation_level=None)) as db:
        before = db.execute(f"SELECT {column} FROM {table}").fetchall()
        try:
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        except sqlite3.IntegrityError:  # an id is a number, whatever the table says
            return False
        else:
            return bool(db.execute(f"SELECT {column} FROM {table}").fetchall() != before)
        finally:
            _rewrite(db, table, sql)


def _rewrite(db: sqlite3.Connection, table: str, sql: str) -> None:
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, table))
    db.execute("PRAGMA writable_schema = RESET")


@pytest.mark.parametrize(("table", "column"), EACH, ids=[f"{table}-{column}" for table, column in EACH])
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not noted"])
@pytest.mark.parametrize(
    "values", [pytest.param(SOME, id="some"), pytest.param(OTHERS, id="others", marks=pytest.mark.slow)]
)
def test_whatever_a_row_says_the_fault_goes_or_is_said_to_be_owed(
    scene: Path, service: Shelf, tmp_path: Path, table: str, column: str, noted: bool, values: Sequence[Any]
) -> None:
    tried = 0
    for number, value in enumerate(values):
        home = again(scene, service, tmp_path / str(number), noted=noted)
        tried += damage(home, table, column, value)
        found = recovery(home)
        said = found.altered or any(not result.reverted for result in found.results)
        assert not service.stopped() or (said and not noted), (value, found)
        recovery(home)  # nor does it stop those who come later
    assert tried


def test_a_run_whose_reach_cannot_be_read_is_recovered_and_told(scene: Path, service: Shelf, tmp_path: Path) -> None:
    home = again(scene, service, tmp_path / "home", noted=False)
    assert damage(home, "runs", "targets", "x")
    assert "the row of run-1 in the table runs cannot be read (targets)" in audit.verify(home).faults[0]
    found = recovery(home)
    assert not service.stopped()
    assert [result.reverted for result in found.results] == [True]
    assert "run-1 in the table runs" in found.altered


UNVOUCHED = {"started", "ended", "expires", "armed", "reverted"}
"""Times: of the lease, which is renewed without a word, and of what the trail has its own times for."""


@pytest.mark.parametrize(("table", "column"), [each for each in EACH if each[1] not in UNVOUCHED])
def test_every_change_that_the_trail_can_tell_is_told(scene: Path, tmp_path: Path, table: str, column: str) -> None:
    for number, value in enumerate((*VALUES, "reverted", "armed", "run-2", 1, 2)):
        home = Home(Path(shutil.copytree(scene, tmp_path / str(number))))
        assert audit.verify(home).intact
        changed = damage(home, table, column, value)
        assert audit.verify(home).intact is not changed, value


@pytest.mark.parametrize(("table", "column"), [("runs", "targets"), ("runs", "pid"), ("injections", "record")])
def test_a_halt_a_sweep_and_the_next_run_get_by(
    scene: Path, service: Shelf, tmp_path: Path, table: str, column: str
) -> None:
    home = again(scene, service, tmp_path / "halt", noted=True)
    assert damage(home, table, column, "x")
    with closing(Journal(home.journal)) as journal, pytest.raises(SafetyRefusalError):
        journal.refuse_altered()
    assert settled(home, grace_s=0.0) == []
    assert not service.stopped()


def test_no_run_begins_beside_one_that_cannot_be_read(scene: Path, service: Shelf, tmp_path: Path) -> None:
    home = again(scene, service, tmp_path / "home", noted=True)
    assert damage(home, "runs", "targets", '{"targets": [], "traffic": NaN}')
    with closing(Journal(home.journal)) as journal, pytest.raises(SafetyRefusalError, match="cannot be read"):
        joint(REACH, journal.running(), System(name="s", services=(service.service(),)), Limits())
    recovery(home)
