"""Faults on directories and the small volumes that the test mounts on them."""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.kernel import cgroup, volume
from executor.model.faults.resource import DiskFill, DiskReadonly, IoError, IoThrottle
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.hungry_kit import Hungry, Pair, no_cgroup, pair, scratch_cgroup
from tests.executor.kit import until

ROOT = Path(tempfile.gettempdir()) / f"larder-{os.getpid()}"
"""A fault names its directory, so that is known before the test begins."""
DATA, BESIDE = ROOT / "data", ROOT / "beside"
MIB = 2**20
TRIES = 20
READS, SHARE = 400, 0.3
RATE = MIB


def no_mounts() -> str | None:
    """Why nothing can be mounted here."""
    return None if os.geteuid() == 0 else "mounting needs root"


@contextmanager
def directories() -> Iterator[None]:
    for path in (ROOT, DATA, BESIDE):
        path.mkdir(mode=0o755)
    try:
        yield
    finally:
        for path in (DATA, BESIDE, ROOT):
            path.rmdir()


@contextmanager
def small_volumes() -> Iterator[None]:
    """Two of 8 MiB, in memory."""
    with directories():
        mounted = []
        try:
            for path in (DATA, BESIDE):
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "larder", str(path)], check=True)
                mounted.append(path)
            yield
        finally:
            for path in mounted:
                until(lambda path=path: subprocess.run(["umount", str(path)], check=False).returncode == 0)


class OnVolume(Pair):
    """Both write and read files, each on a volume of its own."""

    def tried(self, which: Hungry, times: int = TRIES) -> dict[str, dict[str, int]]:
        """What became of so many writes and reads."""
        said: dict[str, dict[str, int]] = which.ask(
            "touch", path=str(DATA if which is self.target else BESIDE), times=times
        )
        return said

    def short(self, which: Hungry) -> bool:
        return self.tried(which)["write"] != {"": TRIES}

    def state(self) -> Any:
        return super().state() | {
            "files": sorted(path.name for path in DATA.iterdir()),
            "free": [volume.free(path, root=True) for path in (DATA, BESIDE)],
            "signs": sorted(path.name for path in Path("/run").glob(f"murphy-*{os.getpid()}*")),
        }


class Failing(OnVolume):
    """Both in directories of one volume; in the target's, some reads fail."""

    def short(self, which: Hungry) -> bool:
        return self.tried(which, 25)["read"] != {"": 25}

    def state(self) -> Any:
        return super().state() | {"free": "that of the host, which others use too", "directory": DATA.stat().st_ino}

    def size(self) -> str:
        said = self.tried(self.target, READS)
        assert said["write"] == {"": READS}, "what was not to fail fails"
        failed = said["read"]["EIO"]
        assert said["read"] == {"EIO": failed, "": READS - failed}
        assert abs(failed / READS - SHARE) < 4 * math.sqrt(SHARE * (1 - SHARE) / READS)
        return f"{100 * SHARE:g} % asked, {100 * failed / READS:.1f} % of {READS} reads EIO, no write"


class Slow(OnVolume):
    """Both on one disk; the target's writes to it take longer."""

    def rate(self, which: Hungry, times: int) -> float:
        return float(which.ask("direct", path=str(DATA), times=times, size=65_536))

    def short(self, which: Hungry) -> bool:
        """Each time: a busy machine may be slow once."""
        return all(self.rate(which, 6) < 4 * RATE for _ in range(3))

    def state(self) -> Any:
        files = [*self.directory.glob("*io.*_device"), *self.directory.glob("io.max")]
        rates = {file.name: file.read_text(encoding="ascii") for file in files}
        return super().state() | {"free": "journal and all", "rates": rates}

    directory: Path

    def size(self) -> str:
        rate = self.rate(self.target, 24)
        assert rate < 1.3 * RATE, "more than the limit"
        return f"{RATE / MIB:g} MiB/s asked, {rate / MIB:.2f} MiB/s of 1.5 MiB written past the cache"


class Full(OnVolume):
    def size(self) -> str:
        total, free = volume.size(DATA), volume.free(DATA, root=True)
        written = self.tried(self.target)["write"]
        assert free == 0
        assert written == {"ENOSPC": TRIES}
        return f"100 % asked, {100 * (total - free) / total:.1f} % of {total // MIB} MiB taken; all writes ENOSPC"


class ReadOnly(OnVolume):
    def size(self) -> str:
        written = self.tried(self.target)["write"]
        assert written == {"EROFS": TRIES}
        return f"all writes asked, {written['EROFS']} of {TRIES} EROFS"


def on_volume(kind: Callable[..., Any]) -> Callable[[Bench], Any]:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Any]:
        with small_volumes(), pair(kind) as made:
            yield made

    return opened


@contextmanager
def failing(bench: Bench) -> Iterator[Any]:
    with directories(), pair(Failing) as made:
        yield made


@contextmanager
def slow(bench: Bench) -> Iterator[Any]:
    with scratch_cgroup("io") as directory, disk(), pair(Slow) as made:
        made.directory = directory
        cgroup.enter(directory, made.target.process.pid)
        yield made


@contextmanager
def disk() -> Iterator[None]:
    """A disk of 16 MiB in a file, with a file system on it."""
    with directories():
        image = ROOT / "image"
        with image.open("wb") as stream:
            stream.truncate(16 * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(DATA)], check=True)
        try:
            yield
        finally:
            until(lambda: subprocess.run(["umount", str(DATA)], check=False).returncode == 0)
            image.unlink()


def no_disks() -> str | None:
    """Why no disk can be made of a file, or none be slowed."""
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return no_mounts() or no_cgroup("io")


def no_fuse() -> str | None:
    """Why no directory can be mounted by a helper."""
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    return no_mounts()


CASES = (
    Case(
        "resource.io_throttle",
        IoThrottle(path=str(DATA), write_bps=RATE),
        slow,
        unavailable=no_disks,
    ),
    Case(
        "resource.io_error",
        IoError(path=str(DATA), probability=SHARE, operations=("read",)),
        failing,
        unavailable=no_fuse,
    ),
    Case("resource.disk_fill", DiskFill(path=str(DATA)), on_volume(Full), unavailable=no_mounts),
    Case("resource.disk_readonly", DiskReadonly(path=str(DATA)), on_volume(ReadOnly), unavailable=no_mounts),
)
