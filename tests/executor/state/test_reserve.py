"""The room kept for the journal's last words."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from executor.errors import UnavailableError
from executor.state import reserve
from executor.state.journal import Journal


def test_it_takes_up_room_until_it_is_given_up(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    for _ in range(2):
        reserve.keep(journal)
        assert reserve.is_kept(journal)
        assert reserve.place(journal).stat().st_blocks * 512 >= reserve.SIZE
    reserve.give_up_if_full(journal)
    assert reserve.is_kept(journal)
    for _ in range(2):
        reserve.give_up(journal)
        assert not reserve.is_kept(journal)


def test_it_goes_before_a_write_for_which_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        reserve.keep(journal.store.path)
        journal.note("tester", "noted")
        assert reserve.is_kept(journal.store.path)
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=10, f_frsize=4096))
        journal.note("tester", "noted")
        assert not reserve.is_kept(journal.store.path)


def test_without_room_for_it_no_run_begins(tmp_path: Path) -> None:
    (tmp_path / "journal.db-reserve").mkdir()
    with pytest.raises(UnavailableError, match="no room for the journal's last words"):
        reserve.keep(tmp_path / "journal.db")


def test_the_log_stays_within_it(tmp_path: Path) -> None:
    """Whatever was written: what is written next has to fit, and its log may have to grow first."""
    with closing(Journal(tmp_path / "journal.db")) as journal:
        for number in range(600):
            journal.note("tester", "noted", number=number, words="x" * 400)
    assert not journal.store.path.with_name("journal.db-wal").exists()
    with closing(Journal(tmp_path / "journal.db")) as journal:
        for number in range(600):
            journal.note("tester", "noted", number=number, words="x" * 400)
        assert journal.store.path.with_name("journal.db-wal").stat().st_size <= reserve.SIZE
