"""Backups are never lost, whatever is done to them while one is cut short or their job cannot log in."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.data import archive, backup_failure
from executor.faults.registry import behaviour
from executor.model.faults.data import BackupFailure
from executor.model.system import Service
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.backups import BackedUp, How

HOW = behaviour("data.backup_failure")
MARK = "murphy-backup-1"


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Path]:
    """An archive, and at the end nothing but archives is in its directory."""
    directory = tmp_path / "backups"
    directory.mkdir()
    (directory / "older.dump").write_bytes(b"older")
    os.utime(directory / "older.dump", (1, 1))
    (directory / "shop.dump").write_bytes(b"whole archive")
    yield directory / "shop.dump"
    assert [file.name for file in directory.iterdir() if file.name.startswith(".")] == []


def recorded(whole: Path) -> dict[str, Any]:
    looked = archive.look(whole.parent)
    return {**looked, **archive.names(looked, MARK)}


def test_the_newest_archive_is_cut_and_is_the_very_file_again(whole: Path) -> None:
    before, record = whole.stat(), recorded(whole)
    archive.cut(record)
    assert archive.is_cut(record)
    assert whole.read_bytes() == b"whole "
    assert whole.stat().st_mtime_ns == before.st_mtime_ns
    assert archive.put_back(record) is None
    after = whole.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert whole.read_bytes() == b"whole archive"
    assert archive.put_back(record) is None


def test_an_archive_that_was_written_meanwhile_stays_and_so_does_the_old_one(whole: Path) -> None:
    record = recorded(whole)
    archive.cut(record)
    whole.write_bytes(b"new archive")
    assert not archive.is_cut(record)
    kept = archive.put_back(record)
    assert kept == whole.with_name(f"before-{MARK}")
    assert (whole.read_bytes(), kept.read_bytes()) == (b"new archive", b"whole archive")


def test_an_archive_with_the_longest_name(whole: Path) -> None:
    record = recorded(whole.rename(whole.with_name("a" * 255)))
    archive.cut(record)
    assert archive.is_cut(record)
    whole.with_name("a" * 255).write_bytes(b"new archive")
    assert archive.put_back(record) == whole.with_name(f"before-{MARK}")


@pytest.mark.parametrize("newer", [False, True])
def test_an_archive_that_got_another_name_meanwhile_is_whole_under_it(whole: Path, *, newer: bool) -> None:
    """As a backup does it that keeps the last few."""
    record = recorded(whole)
    twin = whole.with_name("twin.dump")
    twin.write_bytes(b"others")
    os.utime(twin, ns=(0, whole.stat().st_mtime_ns))
    archive.cut(record)
    whole.rename(whole.with_name("shop.dump.1"))
    if newer:
        whole.write_bytes(b"new archive")
    assert archive.is_cut(record)
    assert archive.put_back(record) == whole.with_name("shop.dump.1")
    assert not archive.is_cut(record)
    assert whole.with_name("shop.dump.1").read_bytes() == b"whole archive"
    assert twin.read_bytes() == b"others"
    assert (whole.read_bytes() if whole.exists() else None) == (b"new archive" if newer else None)


def test_an_archive_that_was_taken_away_meanwhile_is_there_again(whole: Path) -> None:
    record = recorded(whole)
    archive.cut(record)
    whole.unlink()
    assert archive.put_back(record) is None
    assert whole.read_bytes() == b"whole archive"


@pytest.mark.parametrize("step", ["link", "copy"])
def test_killed_before_the_cut_one_is_in_place(whole: Path, step: str) -> None:
    record = recorded(whole)
    os.link(whole, record["aside"])
    if step == "copy":
        Path(f"{record['aside']}.cut").write_bytes(b"who")
    assert not archive.is_cut(record)
    assert archive.put_back(record) is None
    assert whole.read_bytes() == b"whole archive"
    assert whole.stat().st_nlink == 1


def test_an_archive_that_was_written_since_it_was_looked_at_is_not_cut(whole: Path) -> None:
    record = recorded(whole)
    whole.write_bytes(b"another one, in the meantime")
    with pytest.raises(UnavailableError, match="was written since"):
        archive.cut(record)
    assert archive.put_back(record) is None


def test_a_wrong_password_in_every_line_and_nothing_else() -> None:
    before = "# host:port:database:user:kept\n*:*:*:clerk:one:two\nh\\:1:5432:shop:clerk:p\\:q\n\n"
    after = "# host:port:database:user:kept\n*:*:*:clerk:not-the-password\nh\\:1:5432:shop:clerk:not-the-password\n\n"
    assert backup_failure._wrong(before) == after
    assert backup_failure._wrong(after) == after
    with pytest.raises(UnavailableError, match="no line in the form"):
        backup_failure._wrong("machine db login clerk password one")


def subject(bench: Bench, path: Path, how: How) -> BackedUp:
    return BackedUp(bench.postgres(), path, how)


def test_a_job_that_cannot_log_in(bench: Bench, tmp_path: Path) -> None:
    made = subject(bench, tmp_path, "wrong_credentials")
    before = made.state()
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    context = Context(made.system, MARK, str(scratch))
    record = HOW.prepare(BackupFailure(how="wrong_credentials"), made.resolved(), context)
    HOW.inject(record, 60)
    assert HOW.active(record) is True
    assert made.faulted()
    assert made.unharmed()
    assert "canary" not in json.dumps(record)
    assert [file.stat().st_mode & 0o077 for file in scratch.iterdir()] == [0]
    HOW.revert(record)
    assert HOW.active(record) is False
    assert made.normal()
    assert made.state() == before
    assert list(scratch.iterdir()) == []


def test_another_archive_in_its_place_is_told(bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = subject(bench, tmp_path, "truncated_archive")
    context = Context(made.system, MARK, str(tmp_path))
    record = HOW.prepare(BackupFailure(how="truncated_archive"), made.resolved(), context)
    HOW.inject(record, 60)
    assert made.job(made.directory / "shop.dump") == ""
    with caplog.at_level(logging.WARNING):
        HOW.revert(record)
    assert "another put in its place, meanwhile" in caplog.text
    assert sorted(file.name for file in made.directory.iterdir()) == [f"before-{MARK}", "shop.dump"]
    assert all(made.restorable(file) == "" for file in made.directory.iterdir())


def test_what_is_not_struck_is_said(bench: Bench, tmp_path: Path) -> None:
    target = subject(bench, tmp_path, "target_unwritable").resolved()

    def why(how: How, **fields: Any) -> str:
        backup = target.service.backup
        assert backup is not None
        altered = {**dict(target.service), "backup": {**dict(backup), **fields} if fields else None}
        return HOW.unsupported(BackupFailure(how=how), replace(target, service=Service.model_validate(altered))) or ""

    assert "has no backup" in why("target_unwritable")
    assert "is backed up by whom nobody knows" in why("wrong_credentials", credentials=None)
    assert "holds no backup" in why("truncated_archive", path=str(tmp_path / "nowhere"))
    assert "is the system's" in why("target_unwritable", path="/var")
    assert "is not there" in why("target_unwritable", path=str(tmp_path / "nowhere"))
