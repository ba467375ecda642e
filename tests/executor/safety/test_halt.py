"""The flag; how runs heed it is in tests/executor/run/test_engine.py and test_watchdog.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import UnavailableError, plain
from executor.safety import flag
from executor.safety.halt import Halted, audited, halt, halted, halted_since, lowered, resume
from executor.safety.settle import settled
from executor.state import audit
from executor.state.home import Home
from executor.state.journal import Journal

ROOT = Path(__file__).parents[3]


def test_it_is_up_until_resumed(home: Home) -> None:
    assert halted(home) is None
    first = halt(home, "a drill", by="alice")
    assert halt(home, "again", by="bob") == first == halted(home)
    assert (first.by, first.reason) == ("alice", "a drill")
    assert resume(home, by="bob")
    assert halted(home) is None
    assert not resume(home)
    assert [(row.who, row.what) for row in audit.entries(home)] == [("alice", "halted"), ("bob", "resumed")]
    assert settled(home) == []


def test_a_halt_that_is_over_is_known_to_who_has_looked_before_it(home: Home) -> None:
    halt(home, "long ago")
    resume(home)
    before = lowered(home)
    assert halted_since(home, before) is None
    halt(home, "a drill", by="alice")
    assert halted_since(home, before) == halted(home) is not None
    resume(home)
    assert halted(home) is None
    seen = halted_since(home, before)
    assert seen is not None
    assert (seen.by, seen.reason) == ("alice", "a drill")
    assert halted_since(home, lowered(home)) is None


def test_whoever_halts_gives_way_until_no_fault_is_noted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flag, "GIVE_WAY_S", 60.0)
    note = home.run_dir("run-0123456789ab") / "undo-murphy-0123456789ab-1.json"
    note.touch()
    undone = threading.Timer(0.1, note.unlink)
    undone.start()
    flag.give_way(str(home.runs))
    assert not note.exists()
    undone.join()


def test_a_flag_that_was_put_there_by_hand_is_lowered_by_either(home: Home) -> None:
    before = lowered(home)
    home.halt_file.touch()
    assert halted_since(home, before) is not None
    home.halt_file.unlink()
    assert halted_since(home, before) is None
    home.halt_file.touch()
    assert resume(home)
    assert halted(home) is None
    assert halted_since(home, before) is not None


def test_an_empty_flag_is_no_damage(home: Home) -> None:
    home.halt_file.touch()
    flag = halted(home)
    assert flag is not None
    assert (flag.by, flag.reason) == ("somebody", "the file HALTED was put there")


@pytest.mark.parametrize("content", ["", "{", '{"since": 1}', "[]", "7", json.dumps({"x": 1})])
def test_a_flag_that_cannot_be_read_is_up(home: Home, content: str) -> None:
    home.halt_file.write_text(content, encoding="utf-8")
    assert halted(home) is not None
    assert resume(home)


def test_what_is_no_text_is_kept_as_some(home: Home) -> None:
    home.halt_file.write_text(r'{"since": 1, "by": null, "reason": "caf\udce9"}', encoding="utf-8")
    assert halted(home) == Halted("1", r"caf\udce9", "None")
    assert resume(home)
    assert halt(home, "caf\udce9", by="\udc80").reason == r"caf\udce9"
    assert halted(home) == halt(home, "again")


def test_halting_works_without_a_journal(home: Home) -> None:
    home.journal.write_text("this is no database" * 100, encoding="utf-8")
    assert halt(home, "a drill").reason == "a drill"
    assert halted(home) is not None


def test_halting_works_on_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    halt(home, "a drill")
    assert halted(home) is not None


def test_a_full_disk_with_room_for_no_reason_still_has_one_for_who_halts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, **how: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flag, "write", full)
    flag.put(str(home.halt_file), "a drill", "alice")
    assert halt(home, "a drill").reason == "a drill"
    assert home.halt_file.read_bytes() == b""


def test_a_halt_that_cannot_be_written_says_so(home: Home) -> None:
    home.path.rename(home.path.with_name("elsewhere"))
    with pytest.raises(UnavailableError, match="cannot halt: No such file"):
        halt(home, "a drill")
    assert audited(home)


def test_a_flag_that_cannot_be_lowered_says_so(home: Home) -> None:
    home.halt_file.mkdir()
    assert halted(home) is not None
    with pytest.raises(UnavailableError, match="by hand"):
        resume(home)


def test_a_flag_raised_in_haste_is_audited_once(home: Home) -> None:
    flag.put(str(home.halt_file), "a drill", "alice")
    raised = halted(home)
    assert not home.journal.exists()
    assert halt(home, "what the command line says", by="bob") == raised
    assert halt(home, "again") == raised
    assert [(row.who, row.detail) for row in audit.entries(home)] == [("alice", {"reason": "a drill"})]


def test_a_halt_while_the_journal_is_held_is_audited_later(home: Home) -> None:
    with closing(Journal(home.journal)) as journal, journal.store.write():
        halt(home, "a drill", by="alice")
        assert halted(home) is not None
        assert not audited(home)
    assert halt(home, "again", by="bob").reason == "a drill"
    assert audited(home)
    assert [(row.who, row.what) for row in audit.entries(home)] == [("alice", "halted")]


def test_a_halt_that_was_over_before_the_journal_was_free_is_audited_too(home: Home) -> None:
    with closing(Journal(home.journal)) as journal, journal.store.write():
        halt(home, "a drill", by="alice")
        home.halt_file.unlink()
    halt(home, "another", by="bob")
    assert audited(home)
    assert [row.detail["reason"] for row in audit.entries(home)] == ["a drill", "another"]


TEXT = st.text(st.characters(codec=None), max_size=50)


@given(TEXT, TEXT)
def test_whatever_the_reason_it_is_told_as_it_was(reason: str, by: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        home = Home.open(place)
        flag.put(str(home.halt_file), reason, by)
        told = halted(home)
        assert told is not None
        assert (told.reason, told.by) == (plain(reason), plain(by))
        flag.unaudited.clear()


def test_the_first_flag_loads_nothing_that_takes_time() -> None:
    """Each of these takes as long to load as the flag takes to write."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from planner import cli; from executor.safety import flag; "
    told = subprocess.check_output([sys.executable, "-S", "-I", "-c", code + "print(*sys.modules)", ROOT], text=True)
    loaded = set(told.split())
    assert "executor.state.durable" in loaded
    assert not loaded & {"pathlib", "typing", "json", "re", "dataclasses", "contextlib", "datetime", "tempfile"}
