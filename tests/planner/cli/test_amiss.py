"""A state directory in which something is amiss is halted and recovered all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.kernel import process
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.kit import Shelf, shelves, until
from tests.planner.cli.commands import murphy, refused

HUNG = """
import os, sys
from pathlib import Path
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit, arm
journal = Journal(Home(Path(sys.argv[1])).journal)
admit(journal)
member = [int(sys.argv[2]), int(sys.argv[3])]
record = {"instance": "base-1", "members": [member]}
assert journal.injected(arm(journal, record=record, lease_s=100.0).id, record)
"""


def nowhere(path: Path) -> None:
    path.symlink_to("/nowhere")  # a disk that is not mounted, say


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with shelves("base") as (made,):
        yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: Shelf) -> Home:
    """Of a run that hung a service and died."""
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    made, found = Home.open(), shelf.found()
    assert found is not None
    words = [str(made.path), str(found.pid), str(found.start_ticks)]
    subprocess.run([sys.executable, "-c", HUNG, *words], cwd=Path(__file__).parents[3], check=True)
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    until(shelf.stopped)
    return made


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "put"), [("memory", nowhere), ("keys", os.mkfifo), ("runs", os.mkfifo)])
def test_what_stands_in_a_directorys_place_keeps_no_fault(
    home: Home, shelf: Shelf, name: str, put: Callable[[Path], None]
) -> None:
    (home.path / name).rmdir()
    put(home.path / name)
    assert "state directory cannot be used" in refused("keys", "list"), "a run would begin in vain"
    if name == "keys":
        assert murphy("recover") == 0
    else:
        assert murphy("halt", "a drill") == 0
        assert home.halt_file.exists()
    assert not shelf.stopped()
    with closing(Journal(home.journal)) as journal:
        assert journal.pending() == []


def test_a_note_of_which_no_journal_knows_and_that_cannot_be_read_is_said(home: Home, shelf: Shelf) -> None:
    (home.run_dir("run-1") / "undo-m2.json").write_text("half of", encoding="utf-8")
    said = refused("halt", "a drill")
    assert "whether every fault is undone cannot be told" in said
    assert "undo-m2.json" in said
    assert not shelf.stopped()
    assert murphy("recover") == 4
