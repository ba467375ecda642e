"""Emergency restoration: what it ends and removes, what it leaves alone, and what it says it could not look at.

That every lease kind is restored without a journal is in faults/test_without_journal.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import child, netns, nft, process, redirect
from executor.state import audit, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import watchers
from executor.undo.sweep import sweep
from executor.undo.swept import Swept
from tests.executor.injections import admit, hang
from tests.executor.kit import Shelf, until
from tests.missing import missing

ROOT = Path(__file__).parents[3]
EXECUTOR = """
import sys
from pathlib import Path
from executor.state import undo_notes
from executor.undo.guardian import Guardian
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit
home = Home(Path(sys.argv[1]))
admit(Journal(home.journal))
home.scratch("run-1")
Guardian(home, "run-1").start()
print("ready", flush=True)
sys.stdin.readline()
"""
LEAD = """
import sys
from executor.kernel import nft, redirect
redirect.lead(nft.Table(sys.argv[1]), [redirect.Way(9, ("127.0.0.9",), ())], 9, 60.0)
"""


@pytest.fixture
def executor(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a run under way, and a watchdog."""
    running = subprocess.Popen(
        [sys.executable, "-c", EXECUTOR, str(home.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    yield running
    running.kill()
    running.communicate()
    for watcher in watchers(home):
        watcher.end()


def of(home: Home, found: list[Swept]) -> dict[str, list[str]]:
    """By outcome, what was said of this home; other homes of this machine are none of the test's business."""
    said: dict[str, list[str]] = {}
    for one in found:
        if str(home.path) in one.text or "run-1" in one.text or "murphy-sweep" in one.text:
            said.setdefault(one.outcome, []).append(one.text)
    return said


def helper(home: Home, *, holder: int, ticks: int) -> subprocess.Popen[bytes]:
    """A helper that burns nothing: it holds memory, a page of it."""
    deadline = home.scratch("run-1") / "murphy-sweep-1.lease"
    child.extend(deadline, 60.0, create=True)
    module = [sys.executable, "-P", "-m", "executor.faults.resource.memory"]
    made = subprocess.Popen(
        [*module, str(holder), str(ticks), str(deadline), "4096", "0"], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert made.stdout is not None
    assert made.stdout.readline() == b"ready\n"
    return made


def test_a_run_that_goes_on_is_left_alone_and_named(home: Home, executor: subprocess.Popen[bytes]) -> None:
    holding = helper(home, holder=executor.pid, ticks=start_ticks(executor.pid) or 0)
    try:
        home.journal.unlink()
        said = of(home, sweep(home))
        assert list(said) == ["unseen", "spared"]
        assert said["spared"] == [
            f"helper executor.faults.resource.memory of murphy-sweep-1 (process {holding.pid}),"
            f" which process {executor.pid} holds"
        ]
        assert holding.poll() is None
        assert [watcher.orphaned for watcher in watchers(home)] == [False]
        assert (home.run_dir("run-1") / "scratch").is_dir()
    finally:
        holding.kill()
        holding.communicate()


def test_a_run_of_which_anything_is_left_alone_keeps_its_scratch(home: Home) -> None:
    """Of the run alone whose mark it bears."""
    deadline = home.scratch("run-sweep") / "murphy-sweep-1.lease"
    home.scratch("run-swept")
    child.extend(deadline, 60.0, create=True)
    words = [str(os.getpid()), str(start_ticks(os.getpid())), str(deadline), "4096", "0"]
    module = [sys.executable, "-P", "-m", "executor.faults.resource.memory"]
    made = subprocess.Popen([*module, *words], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert made.stdout is not None
        assert made.stdout.readline() == b"ready\n"
        assert of(home, sweep(home))["done"] == [f"removed: {home.run_dir('run-swept')}/scratch"]
        assert deadline.exists()
        child.extend(deadline, -1.0)
        assert f"removed: {home.run_dir('run-sweep')}/scratch" in of(home, sweep(home))["done"]
    finally:
        made.kill()
        made.communicate()


def test_helpers_and_watchdogs_that_stand_still_are_ended(home: Home, executor: subprocess.Popen[bytes]) -> None:
    """With their executor gone, neither would end by itself."""
    holding = helper(home, holder=executor.pid, ticks=start_ticks(executor.pid) or 0)
    (watcher,) = watchers(home)
    try:
        process.send(watcher.found.pid, watcher.found.start_ticks, signal.SIGSTOP)
        holding.send_signal(signal.SIGSTOP)
        executor.kill()
        executor.wait()
        assert watcher.orphaned
        home.journal.unlink()
        said = of(home, sweep(home))
        assert said["done"] == [
            f"ended: helper executor.faults.resource.memory of murphy-sweep-1 (process {holding.pid})",
            f"ended: watchdog of run-1 (process {watcher.found.pid})",
            f"removed: {home.run_dir('run-1')}/scratch",
        ]
        assert watchers(home) == []
        holding.wait(10)
        assert list(home.run_dir("run-1").iterdir()) == []
    finally:
        holding.kill()
        holding.communicate()


def test_by_the_journal_where_there_is_one(home: Home, shelf: Shelf) -> None:
    journal = Journal(home.journal)
    admit(journal)
    hang(journal, shelf, lease_s=0.5)
    until(lambda: all(i.lapsed for i in journal.pending()))
    assert of(home, sweep(home))["done"][0].startswith("undone: service.hang on base-1 (run run-1")
    assert journal.pending() == []
    assert not shelf.stopped()
    journal.close()
    (row,) = (row for row in audit.entries(home) if row.what == "swept")
    assert row.who == "sweep"
    assert audit.verify(home).intact


def struck(home: Home, shelf: Shelf) -> None:
    """A fault that is noted, and whose lease has lapsed."""
    journal = Journal(home.journal)
    admit(journal)
    hang(journal, shelf, lease_s=0.2)
    home.scratch("run-1")
    for injection in journal.pending():
        undo_notes.keep(home, injection, injection.record)
    journal.close()
    until(lambda: not undo_notes.left(home)[0].held)


@pytest.mark.parametrize("damage", ["emptied", "overwritten", "another's tables"])
def test_a_journal_that_cannot_be_used(home: Home, shelf: Shelf, damage: str) -> None:
    struck(home, shelf)
    for file in home.path.glob("journal.db*"):
        file.unlink()
    contents = {"emptied": b"", "overwritten": os.urandom(40_000)}
    home.journal.write_bytes(contents.get(damage, b"SQLite format 3\0" + bytes(4080)))
    before = home.journal.read_bytes()
    said = of(home, sweep(home))
    assert not shelf.stopped()
    assert said["done"][0].startswith("undone: service.hang on base-1")
    assert "journal.db cannot be used" in said["unseen"][0]
    assert sweep(home)[0].grave is (damage != "emptied"), "nothing says that an empty one ever held anything"
    assert home.journal.read_bytes() == before
    assert undo_notes.left(home) == []


def test_a_note_that_cannot_be_read_is_owed(home: Home, shelf: Shelf) -> None:
    struck(home, shelf)
    (note,) = home.run_dir("run-1").glob("undo-*")
    whole = note.read_bytes()
    note.write_bytes(whole[:40])
    home.journal.unlink()
    assert of(home, sweep(home))["owed"] == [f"{note} cannot be read, and says what is to be undone"]
    assert (home.run_dir("run-1") / "scratch").is_dir(), "what its undoing may need was removed"
    note.write_bytes(whole)
    os.utime(note, (1, 1))
    assert shelf.stopped()
    sweep(home)
    assert not shelf.stopped()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, for a mount of its own")
def test_a_home_that_can_only_be_read(home: Home, shelf: Shelf) -> None:
    """Mounted read-only for one process: everything is undone, and the home is as it was."""
    struck(home, shelf)
    home.journal.unlink()
    before = sorted(path.name for path in home.path.rglob("*"))
    only_read = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    murphy = [sys.executable, "-m", "planner.cli.main", "recover", "--sweep", "--json"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", only_read, "sh", str(home.path), *murphy],
        cwd=ROOT,
        env={**os.environ, "MURPHY_HOME": str(home.path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    found = json.loads(done.stdout)
    assert any(text.startswith("undone: service.hang on base-1") for text in found["done"]), (found, done.stderr)
    assert not shelf.stopped()
    assert sorted(path.name for path in home.path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_root_it_says_what_it_could_not_look_at(home: Home) -> None:
    os.chown(home.path, 65534, 65534)
    (home.path / "runs").chmod(0o000)
    code = (
        "import os, sys, encodings.ascii; from executor.state.home import Home; from executor.undo.sweep import sweep\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(*(one.text for one in sweep(Home.seen(sys.argv[1])) if one.outcome == 'unseen'), sep='\\n')"
    )
    parents = [path for path in home.path.parents if not path.stat().st_mode & 0o001]
    for path in parents:
        path.chmod(path.stat().st_mode | 0o011)
    said = subprocess.run(
        [sys.executable, "-c", code, str(home.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for path in parents:
        path.chmod(path.stat().st_mode & ~0o011)
    assert "nftables tables can only be looked at by root" in said.stdout, said.stderr
    assert f"{home.runs} can only be looked at by its owner, or root" in said.stdout


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    home = Home.seen(tmp_path / "none")
    said = of(home, sweep(home))
    assert "done" not in said
    assert not home.path.exists()


@pytest.mark.root
def test_a_table_that_no_helper_holds_is_removed(home: Home) -> None:
    if redirect.unavailable():
        missing("needs root and nftables")
    table = nft.Table(nft.name_of(f"murphy-sweep-{os.getpid()}"))
    subprocess.run([sys.executable, "-c", LEAD, table.name], cwd=ROOT, check=True)
    try:
        assert table.live() == [9]
        assert Swept("done", f"removed: nftables table {table}") in sweep(home)
        assert table not in nft.tables()
    finally:
        table.remove()


@pytest.mark.root
def test_a_table_whose_maker_lives_is_left_alone_until_its_lease_lapses(home: Home) -> None:
    if redirect.unavailable():
        missing("needs root and nftables")
    table = nft.Table(nft.name_of(f"murphy-sweep-{os.getpid()}"))
    redirect.lead(table, [redirect.Way(9, ("127.0.0.9",), ())], 9, 60.0)
    try:
        assert (table.name, "spared") in {(one.mark, one.outcome) for one in sweep(home)}
        table.let_go()
        assert Swept("done", f"removed: nftables table {table}") in sweep(home)
    finally:
        table.remove()


def test_where_nft_is_no_longer_installed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(netns, "_SYSTEM_PROGRAMS", ())
    assert not nft.installed()
    assert not [one for one in sweep(home) if "nftables" in one.text]
