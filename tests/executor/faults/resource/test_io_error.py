"""A directory in which calls fail: what is struck, what is passed on as ever, and how it goes."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import executor
from executor.errors import UnavailableError
from executor.kernel import child, process, volume
from tests.executor.faults.cases.volumes import DATA
from tests.executor.faults.failing_kit import HOW, Begin, beginning, failing
from tests.executor.kit import until


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with beginning(tmp_path) as begun:
        yield begun


def test_only_the_calls_and_files_that_were_meant_fail(begin: Begin) -> None:
    begin(errno="ENOSPC", operations=("write",), files="*.wal")
    (DATA / "table").write_text("well")
    assert (DATA / "table").read_text() == "well"
    assert failing(lambda: (DATA / "1.wal").write_text("lost")) == errno.ENOSPC
    assert (DATA / "1.wal").read_text() == ""
    assert failing(lambda: os.truncate(DATA / "1.wal", 10)) == errno.ENOSPC


def synced(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened)


@pytest.mark.parametrize(
    ("operation", "how"),
    [
        ("open", lambda: (DATA / "kept").read_bytes()),
        ("create", lambda: (DATA / "new").touch()),
        ("sync", lambda: synced(DATA / "kept")),
        ("list", lambda: list(DATA.iterdir())),
        ("remove", lambda: (DATA / "kept").unlink()),
        ("rename", lambda: (DATA / "kept").rename(DATA / "other")),
    ],
)
def test_each_call_can_be_let_fail(begin: Begin, operation: str, how: Callable[[], Any]) -> None:
    record = begin(operations=("read",))
    (DATA / "kept").write_text("kept")
    HOW.revert(record)
    begin(operations=(operation,), errno="EDQUOT")
    assert failing(how) == errno.EDQUOT
    (DATA / "kept").stat()


def test_what_does_not_fail_is_passed_on_as_it_was(begin: Begin) -> None:
    record = begin(operations=("read",), files="nothing")
    file, link, moved = DATA / "file", DATA / "link", DATA / "moved"
    file.write_bytes(os.urandom(300_000))
    content = file.read_bytes()
    file.chmod(0o640)
    os.chown(file, 65534, 65534)
    os.utime(file, ns=(10**18, 10**18 + 5))
    os.setxattr(file, "user.kind", b"ledger")
    link.symlink_to("file")
    os.link(file, DATA / "same")
    shutil.copyfile(file, moved)
    moved.rename(DATA / "renamed")
    with (DATA / "renamed").open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, 400_000)
        (DATA / "renamed").unlink()
        assert stream.read(300_000) == content, "a file that was removed while open is lost"
    during = looks(file)
    HOW.revert(record)
    assert looks(file) == during
    assert file.read_bytes() == content
    assert link.readlink() == Path("file")
    assert sorted(path.name for path in DATA.iterdir()) == ["file", "link", "same"]


def looks(file: Path) -> Any:
    about = file.stat()
    kept = (about.st_mode, about.st_uid, about.st_gid, about.st_size, about.st_mtime_ns, about.st_nlink, about.st_ino)
    return kept, os.getxattr(file, "user.kind")


def test_what_processes_share_by_the_directory_is_refused(begin: Begin) -> None:
    file = DATA / "shared"
    file.write_bytes(bytes(mmap.PAGESIZE))
    mapped = pytest.raises(UnavailableError, match=f"{file} is mapped as shared memory by pid {os.getpid()},")
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0), mapped:
        begin()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(DATA / "socket"))
        with pytest.raises(UnavailableError, match=f"{DATA / 'socket'} is a Unix socket in use,"):
            begin()
    begin()


def test_neither_what_holds_a_mount_nor_what_is_in_one_of_ours_is_struck(begin: Begin) -> None:
    """Taken away in the wrong order, one of the two would not be found by its path."""
    below = DATA / "below"
    below.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid", "larder", str(below)], check=True)
    try:
        with pytest.raises(UnavailableError, match=f"{below} is mounted below {DATA};"):
            begin()
    finally:
        subprocess.run(["umount", str(below)], check=True)
    begin()
    with pytest.raises(UnavailableError, match=f"{below} is struck by another fault already"):
        begin(path=str(below))


@pytest.mark.parametrize("place", [Path(sys.prefix) / "lib", Path(executor.__file__).parent / "kernel"])
def test_what_murphy_runs_on_is_not_struck(place: Path) -> None:
    assert "is in what Murphy itself needs" in str(volume.unfit(place.resolve()))


def test_a_killed_helper_fails_closed_until_the_fault_is_undone(begin: Begin) -> None:
    record = begin(operations=("read",))
    (helper,) = child.living(Path(record["deadline"]))
    process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
    assert process.wait_gone(helper.pid, helper.start_ticks, 10)
    until(lambda: failing(DATA.stat) == errno.ENOTCONN)
    assert HOW.active(record) is True
    HOW.revert(record)
    assert HOW.active(record) is False
    (DATA / "file").touch()


def test_a_directory_in_use_is_let_go_all_the_same(begin: Begin) -> None:
    """What is open stays open, of no use any more: it has to be opened again, as the fault says of itself."""
    record = begin(operations=("read",))
    stream = (DATA / "file").open("w")
    stream.write("before the end")
    stream.flush()
    HOW.revert(record)
    assert HOW.active(record) is False
    assert (DATA / "file").read_text() == "before the end"
    with suppress(OSError):
        stream.close()


def test_a_helper_that_stands_still_holds_nobody_up(begin: Begin) -> None:
    record = begin(operations=("read",))
    (helper,) = child.living(Path(record["deadline"]))
    process.send(helper.pid, helper.start_ticks, signal.SIGSTOP)
    HOW.revert(record)
    assert HOW.active(record) is False
    (DATA / "file").touch()
