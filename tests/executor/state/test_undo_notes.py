"""A fault's revert is on disk a second time, beside the journal, for as long as the fault is owed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from executor.clock import boottime
from executor.errors import UnavailableError
from executor.model.evidence import EventKind
from executor.model.faults.service import Crash
from executor.run.engine import run
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.revert import undo
from tests.executor.injections import admit, arm
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, shelves, system_of, until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.open(tmp_path / "home")
    made.run_dir("run-1")
    return made


@pytest.fixture
def armed(home: Home) -> Iterator[Injection]:
    journal = Journal(home.journal)
    admit(journal)
    yield arm(journal)
    journal.close()


def test_a_note_is_what_the_journal_says(home: Home, armed: Injection) -> None:
    undo_notes.keep(home, armed, {"members": [[1, 2]]})
    (note,) = undo_notes.left(home)
    assert replace(armed, record={"members": [[1, 2]]}, expires=note.expires) == Injection(
        **{name: getattr(note, name) for name in vars(armed)}
    )
    assert note.expires == pytest.approx(armed.expires, abs=1e-3)
    assert note.held
    (file,) = home.run_dir("run-1").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert undo_notes.left(home, "run-2") == []
    undo_notes.drop(home, armed)
    undo_notes.drop(home, armed)
    assert undo_notes.left(home) == list(home.run_dir("run-1").iterdir()) == []


@pytest.mark.parametrize("lease", [float("nan"), float("inf"), 1e300])
def test_a_lease_without_end_is_a_damaged_note(home: Home, armed: Injection, lease: float) -> None:
    undo_notes.keep(home, armed, {})
    (file,) = home.run_dir("run-1").iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires": lease}), encoding="utf-8")
    assert undo_notes.left(home) == []
    assert undo_notes.unreadable(home) == [file]


def test_one_wrong_digit_damages_a_note(home: Home, armed: Injection) -> None:
    """It would be undone at another process, and found gone there."""
    undo_notes.keep(home, armed, {"ticks": 4711})
    (file,) = home.run_dir("run-1").iterdir()
    file.write_text(file.read_text(encoding="utf-8").replace("4711", "4712"), encoding="utf-8")
    assert undo_notes.left(home) == []
    assert undo_notes.unreadable(home) == [file]


def test_a_note_of_an_earlier_and_longer_boot_is_whole_and_lapsed(home: Home, armed: Injection) -> None:
    undo_notes.keep(home, replace(armed, boot_id="of then", expires=boottime() + 10**6), {})
    (note,) = undo_notes.left(home)
    assert note.lapsed


def test_what_was_learned_by_making_a_fault_does_not_take_its_lease_back(home: Home, armed: Injection) -> None:
    """Else a fault that took longer to make than its lease would seem to be nobody's, and be undone in a live run."""
    begun = replace(armed, expires=boottime() + 0.2)
    undo_notes.keep(home, begun, {})
    undo_notes.renew(home, [begun], 100)
    undo_notes.keep(home, begun, {"learned": 1})
    (note,) = undo_notes.left(home)
    assert (note.record, note.held) == ({"learned": 1}, True)
    assert note.expires > boottime() + 90


def test_a_lease_is_renewed_and_lapses(home: Home, armed: Injection) -> None:
    undo_notes.keep(home, replace(armed, expires=boottime() + 100), armed.record)
    undo_notes.renew(home, [armed], 0.2)
    until(lambda: not undo_notes.left(home)[0].held)
    undo_notes.drop(home, armed)
    undo_notes.renew(home, [armed], 60)
    assert undo_notes.left(home) == [], "a note that is gone was revived"


def test_who_holds_a_note(home: Home, armed: Injection) -> None:
    """Not a process that is dead, or that had the pid before this boot."""
    code = (
        "import sys; from executor.state import undo_notes; from executor.state.home import Home\n"
        "from executor.state.journal import *\n"
        "home = Home(Path(sys.argv[1])); one = Journal(home.journal).pending()[0]\n"
        "undo_notes.keep(home, one, one.record); print('kept', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"kept\n"
        (note,) = undo_notes.left(home)
        assert note.held
        assert not replace(note, boot_id="another").held
        assert not replace(note, holder_ticks=note.holder_ticks + 1).held
    finally:
        holder.kill()
        holder.communicate()
    assert not note.held


def test_what_is_undone_is_noted_no_longer(home: Home, armed: Injection, monkeypatch: pytest.MonkeyPatch) -> None:
    from executor.undo import revert
    from tests.executor.injections import Fake

    monkeypatch.setattr(revert, "behaviour", lambda _kind: Fake())
    monkeypatch.setattr(revert, "BACKOFF_S", ())
    undo_notes.keep(home, armed, armed.record)
    journal = Journal(home.journal)
    assert undo(journal, home, armed, by="x").error  # neither record is what this fault wants
    assert [note.mark for note in undo_notes.left(home)] == ["m1"]
    undo_notes.keep(home, armed, {"name": "m1"})
    assert undo(journal, home, armed, by="x").reverted
    assert undo_notes.left(home) == []
    journal.close()


def test_what_another_process_makes_stays_noted(home: Home, armed: Injection) -> None:
    """Whoever undoes it meanwhile may have undone nothing yet."""
    code = (
        "import sys; from executor.state import undo_notes; from executor.state.home import Home\n"
        "from executor.state.journal import *\n"
        "home = Home(Path(sys.argv[1])); one = Journal(home.journal).pending()[0]\n"
        "undo_notes.keep(home, one, one.record); undo_notes.making(home, one)\n"
        "undo_notes.keep(home, one, one.record)\n"  # with what it has learned by making it
        "print('making', flush=True); sys.stdin.readline()\n"
        "undo_notes.made(home, one); print('made', flush=True); sys.stdin.read()"
    )
    maker = subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert maker.stdout is not None
        assert maker.stdin is not None
        assert maker.stdout.readline() == b"making\n"
        undo_notes.drop(home, armed)
        (note,) = undo_notes.left(home)
        assert note.being_made
        maker.stdin.write(b"\n")
        maker.stdin.flush()
        assert maker.stdout.readline() == b"made\n"
        (note,) = undo_notes.left(home)
        assert not note.being_made
        undo_notes.drop(home, armed)
        assert undo_notes.left(home) == []
    finally:
        maker.kill()
        maker.communicate()


def test_what_is_noted_no_longer_is_not_made(home: Home, armed: Injection) -> None:
    with pytest.raises(UnavailableError, match="not noted any more"):
        undo_notes.making(home, armed)
    undo_notes.made(home, armed)


def test_a_damaged_note_is_named(home: Home, armed: Injection) -> None:
    undo_notes.keep(home, armed, armed.record)
    (file,) = home.run_dir("run-1").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert undo_notes.left(home) == []
    assert undo_notes.unreadable(home) == [file]


def test_a_fault_that_cannot_be_noted_is_refused(home: Home, armed: Injection) -> None:
    home.run_dir("run-1", make=False).rmdir()
    with pytest.raises(UnavailableError, match="cannot be written down"):
        undo_notes.keep(home, armed, armed.record)


def test_what_cannot_be_noted_is_never_injected(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise UnavailableError("the disk is full.")

    monkeypatch.setattr(undo_notes, "keep", full)
    with shelves("base") as (shelf,):
        system = system_of([shelf])
        plan = plan_of(system, (experiment_on(system, "base", Crash(restart="murphy"), duration_s=0.5),))
        before = shelf.found()
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
        assert shelf.found() == before
    assert "the disk is full" in evidence.results[0].aborted
    assert EventKind.ARMED not in {event.kind for event in evidence.timeline}
    assert evidence.owed == ()
    journal = Journal(home.journal)
    assert journal.pending() == []
    journal.close()
