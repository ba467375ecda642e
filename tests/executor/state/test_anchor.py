"""The anchor moves forward only, survives a torn write, and waits for nobody who stands still."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.state import anchor
from executor.state.anchor import BEGINNING, Mark
from executor.state.journal import Journal


def mark(seq: int) -> Mark:
    return Mark(seq, f"{seq:064x}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = anchor.place(tmp_path / "journal.db")
    anchor.make(place, BEGINNING)
    return place


def held(_before: Mark) -> bool:
    return True


@given(seqs=st.lists(st.integers(1, 2**62)))
def test_it_names_the_furthest_row_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, seqs: list[int]
) -> None:
    path = tmp_path_factory.mktemp("anchor") / "a"
    anchor.make(path, BEGINNING)
    for number, seq in enumerate(seqs, start=1):
        anchor.move(path, mark(seq), held)
        assert anchor.read(path) == mark(max(seqs[:number]))
    anchor.make(path, BEGINNING)  # there already
    assert anchor.read(path) == (mark(max(seqs)) if seqs else BEGINNING)


def test_one_that_the_trail_does_not_hold_stays(path: Path) -> None:
    anchor.move(path, mark(5), held)
    anchor.move(path, mark(9), lambda before: before.seq != 5)
    assert anchor.read(path) == mark(5)


@pytest.mark.parametrize("torn", range(2))
def test_a_write_that_a_power_cut_tears_costs_one_step(path: Path, torn: int) -> None:
    for seq in (1, 2):
        anchor.move(path, mark(seq), held)
    content = bytearray(path.read_bytes())
    content[torn * 512 : torn * 512 + 40] = b"\0" * 40
    path.write_bytes(content)
    seen = anchor.read(path)
    assert seen in (mark(1), mark(2))
    anchor.move(path, mark(3), held)
    assert anchor.read(path) == mark(3)


def test_what_is_no_anchor_is_not_taken_for_one(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="names no row"):
        anchor.read(path)
    with pytest.raises(ValueError, match="names no row"):
        anchor.move(path, mark(1), held)
    path.unlink()
    assert anchor.read(path) is None


def test_a_process_that_stands_still_with_it_is_not_waited_for(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            anchor.move(path, mark(1), held)
    finally:
        os.close(handle)
    assert anchor.read(path) == BEGINNING
    anchor.move(path, mark(1), held)
    assert anchor.read(path) == mark(1)


def _note(path: str, gate: Any) -> None:
    journal = Journal(Path(path))
    gate.wait(60)
    for number in range(25):
        journal.note("tester", "noted", number=number)
    journal.close()


def test_of_many_writers_none_moves_it_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(3)
    writers = [spawn.Process(target=_note, args=(str(path), gate)) for _ in range(3)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while any(writer.is_alive() for writer in writers):
        if now := anchor.read(anchor.place(path)):
            seen.append(now.seq)
    for writer in writers:
        writer.join()
    assert seen == sorted(seen)
    journal = Journal(path)
    journal.note("tester", "last")  # whoever came last may have been kept from moving it
    (last,) = journal.store.read("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    journal.close()
    assert anchor.read(anchor.place(path)) == Mark(last["seq"], last["hash"]) == Mark(76, last["hash"])


def test_a_crash_before_it_moves_leaves_a_trail_that_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.note("tester", "first")
    with monkeypatch.context() as patch:
        patch.setattr(anchor, "move", _die)
        with pytest.raises(KeyboardInterrupt):
            journal.note("tester", "second")
    assert (anchor.read(anchor.place(journal.store.path)) or BEGINNING).seq == 1
    assert journal.altered() == ""
    journal.note("tester", "third")
    assert (anchor.read(anchor.place(journal.store.path)) or BEGINNING).seq == 3
    journal.close()


def test_writers_killed_at_any_moment_leave_a_journal_that_nobody_suspects(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    code = (
        "import sys; from pathlib import Path; from executor.state.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "while True: journal.note('writer', 'noted'); print(flush=True)"
    )
    command = [sys.executable, "-c", code, str(path)]
    moments = random.Random(7)
    for _ in range(6):
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as one,
            subprocess.Popen(command, stdout=subprocess.DEVNULL) as other,
        ):
            try:
                assert one.stdout is not None
                for _line in range(moments.randint(1, 30)):
                    assert one.stdout.readline()
                with closing(Journal(path)) as journal:  # while both go on writing
                    assert journal.altered() == ""
            finally:
                one.kill()
                other.kill()
        with closing(Journal(path)) as journal:
            assert journal.altered() == ""
            (rows,) = journal.store.read("SELECT count(*) AS n FROM audit")
            mark = anchor.read(anchor.place(path))
            assert mark is not None
            assert 0 < mark.seq <= rows["n"]
            journal.refuse_altered()
            assert anchor.read(anchor.place(path)) != mark or mark.seq == rows["n"]


def _die(*_arguments: object) -> None:
    raise KeyboardInterrupt
