"""What programs do in a directory whose calls may fail is done to the files in it, as if nothing were between."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest

from executor.faults.resource import beneath, mount
from tests.executor.faults.cases.volumes import DATA, no_mounts
from tests.executor.faults.failing_kit import HOW, Begin, beginning, failing
from tests.executor.kit import until
from tests.missing import missing, not_meant

NOBODY: Final = 65534
_HERE, _NOW, _OMIT = -100, (1 << 30) - 1, (1 << 30) - 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
WAITS = "import fcntl, sys; file = open(sys.argv[1], 'r+'); print(flush=True); fcntl.{}(file, fcntl.LOCK_EX)"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with beginning(tmp_path) as begun:
        yield begun


def spared(begin: Begin) -> dict[str, Any]:
    return begin(operations=("read",), files="nothing")


def by_nobody(command: str) -> bool:
    """Whether another user can do that there."""
    run = ["/bin/sh", "-c", command]
    done = subprocess.run(run, user=NOBODY, group=NOBODY, extra_groups=[], cwd=DATA, capture_output=True, check=False)
    return done.returncode == 0


def test_a_directory_shows_what_is_in_it(begin: Begin) -> None:
    (DATA / "below").mkdir()
    (DATA / "below" / "file").touch()
    (DATA / "link").symlink_to("below")
    before = {entry.name: entry.inode() for entry in os.scandir(DATA)}
    spared(begin)
    with os.scandir(DATA) as entries:
        seen = {entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in entries}
    assert seen == {name: (number, name == "below") for name, number in before.items()}
    assert [path.name for path in (DATA / "below").iterdir()] == ["file"]
    assert os.statvfs(DATA).f_namemax == os.statvfs(DATA.parent).f_namemax


def test_a_time_is_set_to_now_or_left(begin: Begin) -> None:
    file = DATA / "file"
    file.touch()
    os.utime(file, ns=(10**18, 10**18))
    spared(begin)
    times = struct.pack("4q", 0, _OMIT, 0, _NOW)
    assert _LIBC.utimensat(_HERE, os.fsencode(file), times, 0) == 0
    about = file.stat()
    assert about.st_atime_ns == 10**18
    assert abs(about.st_mtime - (DATA.parent / "beside").stat().st_mtime) < 3600
    os.utime(file, ns=(1, 2))
    assert (file.stat().st_atime_ns, file.stat().st_mtime_ns) == (1, 2)


@pytest.mark.parametrize("flag", [1, 2], ids=["no-replace", "exchange"])
def test_a_rename_of_a_kind_that_is_not_passed_on_is_refused(begin: Begin, flag: int) -> None:
    for name in ("old", "new"):
        (DATA / name).write_text(name)
    spared(begin)
    paths = [os.fsencode(DATA / name) for name in ("old", "new")]
    assert _LIBC.renameat2(_HERE, paths[0], _HERE, paths[1], flag) == -1
    assert ctypes.get_errno() in (errno.EINVAL, errno.EEXIST)
    assert [(DATA / name).read_text() for name in ("old", "new")] == ["old", "new"]
    (DATA / "old").rename(DATA / "new")
    assert (DATA / "new").read_text() == "old"


def test_who_opened_a_database_before_and_who_opened_it_during_keep_each_other_out(begin: Begin) -> None:
    before = sqlite3.connect(DATA / "app.db", isolation_level=None, timeout=0)
    before.execute("create table event (id integer primary key, what blob)")
    record = spared(begin)
    during = sqlite3.connect(DATA / "app.db", isolation_level=None, timeout=0)
    for holds, other in ((before, during), (during, before)) * 3:
        holds.execute("begin immediate")
        holds.execute("insert into event (what) values (randomblob(9000))")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("begin immediate")
        holds.execute("commit")
        assert (
            other.execute("select count(*) from event").fetchone()
            == holds.execute("select count(*) from event").fetchone()
        )
    during.execute("begin immediate")
    during.execute("insert into event (what) values (randomblob(9000))")
    HOW.revert(record)
    with pytest.raises(sqlite3.Error):
        during.execute("commit")
    before.execute("pragma busy_timeout = 30000")  # its lock ends with the process that passed it on
    before.execute("insert into event (what) values ('after')")
    assert before.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert before.execute("select count(*) from event").fetchone() == (7,)
    before.close()
    during.close()


@pytest.mark.parametrize("way", ["flock", "lockf"])
def test_a_lock_is_waited_for(begin: Begin, way: str) -> None:
    file = DATA / "file"
    file.touch()
    with file.open("r+") as before:
        spared(begin)
        lock = getattr(fcntl, way)
        lock(before, fcntl.LOCK_EX)
        command = [sys.executable, "-c", WAITS.format(way), str(file)]
        waiting = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(12)]
        try:
            for one in waiting:
                assert one.stdout is not None
                assert one.stdout.readline() == b"\n"
            with file.open("r+") as during:
                assert failing(lambda: lock(during, fcntl.LOCK_EX | fcntl.LOCK_NB)) == errno.EAGAIN
            first, *others = waiting
            first.kill()
            assert first.wait(5) == -signal.SIGKILL
            lock(before, fcntl.LOCK_UN)
            assert [one.wait(5) for one in others] == [0] * len(others)
        finally:
            for one in waiting:
                one.kill()
                one.communicate()


def test_the_fault_ends_though_a_lock_is_waited_for(begin: Begin) -> None:
    file = DATA / "file"
    file.touch()
    with file.open("r+") as before:
        record = spared(begin)
        fcntl.lockf(before, fcntl.LOCK_EX)
        during = file.open("r+")
        caught: list[int] = []
        waits = Thread(target=lambda: caught.append(failing(lambda: fcntl.lockf(during, fcntl.LOCK_EX))))
        waits.start()
        HOW.revert(record)
        waits.join(10)
        assert len(caught) == 1
        with suppress(OSError):
            during.close()


def test_a_part_of_a_file_is_locked_and_who_has_it_is_told(begin: Begin) -> None:
    file = DATA / "file"
    file.touch()
    with file.open("r+") as before:
        spared(begin)
        fcntl.lockf(before, fcntl.LOCK_EX, 10, 100)
        with file.open("r+") as during:
            fcntl.lockf(during, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
            assert failing(lambda: fcntl.lockf(during, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 105)) == errno.EAGAIN
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 1, 0)
            said = struct.unpack("hhqqi4x", fcntl.fcntl(during, fcntl.F_GETLK, asked))
            assert (said[0], said[2:]) == (fcntl.F_WRLCK, (100, 10, os.getpid()))
        fcntl.lockf(before, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)


def test_memory_is_not_shared_by_what_would_not_be_seen_elsewhere(begin: Begin) -> None:
    spared(begin)
    (DATA / "file").write_bytes(b"x" * mmap.PAGESIZE)
    with (DATA / "file").open("r+b") as stream:
        assert failing(lambda: mmap.mmap(stream.fileno(), 0)) == errno.ENODEV
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as private:
            assert private[:1] == b"x"


def test_what_is_appended_is_so_for_all(begin: Begin) -> None:
    with (DATA / "log").open("ab", buffering=0) as before:
        spared(begin)
        during = os.open(DATA / "log", os.O_WRONLY)
        before.write(b"one ")
        fcntl.fcntl(during, fcntl.F_SETFL, os.O_APPEND)
        os.write(during, b"two ")
        before.write(b"three ")
        os.write(during, b"four")
        fcntl.fcntl(during, fcntl.F_SETFL, 0)
        os.pwrite(during, b"ONE", 0)
        os.close(during)
        assert (DATA / "log").read_bytes() == b"ONE two three four"
        direct = os.open(DATA / "log", os.O_RDONLY | os.O_DIRECT)
        assert os.pread(direct, 3, 4) == b"two"
        os.close(direct)


def test_room_is_taken_and_given_back(begin: Begin) -> None:
    spared(begin)
    (DATA / "file").write_bytes(b"x" * 65536)
    with (DATA / "file").open("r+b") as stream:
        keep_size, punch_hole = 1, 2
        at, length = ctypes.c_longlong(0), ctypes.c_longlong(32768)
        assert _LIBC.fallocate(stream.fileno(), keep_size | punch_hole, at, length) == 0
        assert stream.read() == bytes(32768) + b"x" * 32768
        assert os.lseek(stream.fileno(), 0, os.SEEK_DATA) == 32768
        assert os.lseek(stream.fileno(), 0, os.SEEK_HOLE) == 0
        (DATA / "file").unlink()
        os.ftruncate(stream.fileno(), 40000)
        assert len(os.pread(stream.fileno(), 65536, 0)) == 40000


def test_nobody_may_more_than_before(begin: Begin) -> None:
    DATA.chmod(0o1777)
    for name in ("mine", "lent", "listed"):
        (DATA / name).write_text("secret")
    (DATA / "mine").chmod(0o600)
    (DATA / "lent").chmod(0o6777)
    everybody = 0xFFFFFFFF
    entries = [(1, 6, everybody), (2, 0, NOBODY), (4, 4, everybody), (16, 4, everybody), (32, 4, everybody)]
    rights = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(DATA / "listed", "system.posix_acl_access", rights)
    forbidden = ("cat mine", "cat listed", "rm mine", "mv mine yours", "chmod 777 mine", "touch -d @1 lent")
    assert [what for what in forbidden if by_nobody(what)] == []
    spared(begin)
    assert [what for what in forbidden if by_nobody(what)] == []
    assert by_nobody("echo more >> lent && mkdir theirs")
    assert stat.S_IMODE((DATA / "lent").stat().st_mode) == 0o777
    assert ((DATA / "theirs").stat().st_uid, (DATA / "theirs").stat().st_gid) == (NOBODY, NOBODY)


def test_what_is_made_has_the_rights_that_its_directory_and_its_maker_give(begin: Begin) -> None:
    DATA.chmod(0o777)
    for name in ("before", "during"):
        (DATA / name).mkdir()
        (DATA / name).chmod(0o777)
    everybody = 0xFFFFFFFF
    entries = [(1, 7, everybody), (4, 7, everybody), (32, 7, everybody)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    seen = []
    for name in ("before", "during"):
        make = f"umask 027; cd {name}; echo > plain; mkdir below; cd ../listed-{name}; echo > plain; mkdir below"
        (DATA / f"listed-{name}").mkdir()
        os.setxattr(DATA / f"listed-{name}", "system.posix_acl_default", listed)
        (DATA / f"listed-{name}").chmod(0o777)
        assert by_nobody(make)
        os.close(os.open(DATA / name / "lends", os.O_CREAT | os.O_WRONLY, 0o4755))
        made = sorted([*(DATA / name).iterdir(), *(DATA / f"listed-{name}").iterdir()])
        seen.append([(path.name, oct(path.stat().st_mode), path.stat().st_uid) for path in made])
        if name == "before":
            spared(begin)
    assert seen[1] == seen[0]


def test_what_somebody_else_has_just_made_stays_his(tmp_path: Path) -> None:
    """The kernel, which has seen no such file, is told to look again."""
    theirs = tmp_path / "file"
    theirs.touch(0o600)
    os.chown(theirs, NOBODY, NOBODY)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert failing(lambda: beneath.made("file", directory, os.O_WRONLY | os.O_TRUNC, 0o644)) == errno.ESTALE
        assert failing(lambda: beneath.made("file", directory, os.O_WRONLY | os.O_EXCL, 0o644)) == errno.EEXIST
    finally:
        os.close(directory)
    assert (theirs.stat().st_uid, theirs.stat().st_gid, stat.S_IMODE(theirs.stat().st_mode)) == (NOBODY, NOBODY, 0o600)


def test_as_many_files_are_open_as_their_programs_may_have(begin: Begin) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        spared(begin)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (DATA / "file").touch()
    with ExitStack() as opened:
        for _ in range(300):
            opened.enter_context((DATA / "file").open())


def test_what_may_only_be_appended_to_is_appended_to(begin: Begin) -> None:
    (DATA / "log").write_text("one ")
    if subprocess.run(["chattr", "+a", str(DATA / "log")], capture_output=True, check=False).returncode:
        not_meant("files of this volume cannot be made append-only")
    record = spared(begin)
    try:
        with (DATA / "log").open("a") as log:
            log.write("two")
        assert failing(lambda: (DATA / "log").write_text("")) == errno.EPERM
        assert (DATA / "log").read_text() == "one two"
    finally:
        HOW.revert(record)
        subprocess.run(["chattr", "-a", str(DATA / "log")], check=True)


def test_no_link_leads_out_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to("../out")
    (tmp_path / "in" / "file").symlink_to("../out/file")
    below = beneath.Beneath(str(tmp_path / "in"))
    with below.found("/file") as file:
        assert stat.S_ISLNK(os.fstat(file).st_mode)
        assert failing(lambda: os.open(beneath.again(file), os.O_RDONLY)) == errno.ELOOP
        os.chown(beneath.again(file), NOBODY, NOBODY)
    assert (tmp_path / "out" / "file").stat().st_uid == os.geteuid()
    with pytest.raises(NotADirectoryError), below.place("/link/file"):
        pass


def test_the_mount_lets_be_done_what_its_volume_lets(tmp_path: Path) -> None:
    if reason := no_mounts():
        missing(reason)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,nosuid", "larder", str(tmp_path)], check=True)
    try:
        said = mount.options(str(tmp_path))
    finally:
        until(lambda: subprocess.run(["umount", str(tmp_path)], check=False).returncode == 0)
    assert [said[name] for name in ("ro", "noexec", "suid", "dev")] == [False, True, False, True]
