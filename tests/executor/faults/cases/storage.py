"""Faults on whole volumes: file systems in files, written to by one process each.

Where the kernel has no device mapper, volumes of it are struck in the machine of ``make test-vm``.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.kernel import volume
from executor.model.faults.infrastructure import Storage
from executor.model.plan import InstanceTarget
from executor.model.system import ProcessInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.kit import until

ROOT = Path(tempfile.gettempdir()) / f"cellar-{os.getpid()}"
"""A fault names its directory, so that is known before the test begins."""
DATA, BESIDE = ROOT / "data", ROOT / "beside"
MAPPED = f"cellar-{os.getpid()}"
WRITER = Path(__file__).parents[1] / "writer.py"
SIZE = 16 * 2**20
DELAY_MS = 200
ENOUGH = 5


def no_volumes() -> str | None:
    """Why no volume can be made of a file here."""
    if os.geteuid() != 0:
        return "mounting needs root"
    return None if Path("/dev/loop-control").exists() else "there are no loop devices"


class Writer:
    """One process that writes to one volume, and notes how it went."""

    def __init__(self, directory: Path) -> None:
        self.file, self.notes = directory / "file", ROOT / f"{directory.name}.notes"
        self.argv = [sys.executable, "-S", str(WRITER), str(self.file), str(self.notes)]
        self.process = subprocess.Popen(self.argv)
        until(lambda: self.tries() > 0)

    def noted(self) -> list[tuple[str, float]]:
        """What became of each try, and how long it took."""
        lines = self.notes.read_text(encoding="ascii").splitlines() if self.notes.exists() else []
        return [(word, float(seconds)) for word, seconds in (line.split() for line in lines)]

    def tries(self) -> int:
        return len(self.noted())

    def from_now(self, tries: int = ENOUGH) -> list[tuple[str, float]]:
        """The next so many tries that both begin and end from now on."""
        before = self.tries()
        until(lambda: self.tries() > before + tries)
        return self.noted()[before + 1 :]

    def well(self) -> bool:
        return all(word == "ok" for word, _ in self.from_now())


class OnVolumes:
    """Two writers on a volume each; the first's is struck."""

    def __init__(self, target: Writer, bystander: Writer, shows: Callable[[OnVolumes], str]) -> None:
        self.target, self.bystander, self.shows = target, bystander, shows
        instance = ProcessInstance(id="writer-1", command=str(target.file))
        service = Service(name="writer", instances=(instance,), restarts="by_hand")
        self.system = System(name="cellar", services=(service,))

    def resolved(self) -> ProcessTarget:
        (found,) = resolve(InstanceTarget(service="writer"), self.system)
        assert isinstance(found, ProcessTarget)
        return found

    def normal(self) -> bool:
        return self.target.well()

    def faulted(self) -> bool:
        return bool(self.shows(self))

    def size(self) -> str:
        return self.shows(self)

    def unharmed(self) -> bool:
        return self.bystander.well()

    def state(self) -> Any:
        mounted = volume.mounted_on(DATA)
        mapped = ["dmsetup", "table", MAPPED]
        return {
            "mount": mounted,
            "files": sorted(path.name for path in DATA.iterdir()),
            "mapped": subprocess.run(mapped, capture_output=True, text=True, check=False).stdout
            if not no_mapper()
            else "",
        }

    def die(self) -> None:
        """One that waits for its volume dies only when that goes on."""
        self.target.process.kill()

    def stuck(self) -> str:
        self.bystander.from_now(2)  # a write that was under way has ended by then
        tries = self.target.tries()
        self.bystander.from_now(ENOUGH)
        more = self.target.tries() - tries
        return "" if more else f"no write asked, 0 in {ENOUGH} of the bystander's"

    def gone(self) -> str:
        words = [word for word, _ in self.target.from_now()]
        failed = sum(word == "EIO" for word in words)
        return f"all asked, {failed} of {len(words)} writes EIO" if failed == len(words) else ""

    def late(self) -> str:
        """One read past the cache is one of the volume's; a write that lasts is several."""
        took = median(_read_ms(self.target.file) for _ in range(ENOUGH))
        write = median(seconds for _, seconds in self.target.from_now()) * 1000
        return f"{DELAY_MS} ms asked, {took:.0f} ms a read, {write:.0f} ms a write" if took >= DELAY_MS else ""

    def read_only(self) -> str:
        try:
            (DATA / "more").touch()
        except OSError as error:
            return f"no write asked, {error.strerror}"
        (DATA / "more").unlink()
        return ""

    def full(self) -> str:
        free = volume.free(DATA, root=True)
        return f"100 % asked, {100 * (1 - free / volume.size(DATA)):.1f} % taken" if free == 0 else ""


def no_mapper() -> str | None:
    """Why no volume of the device mapper can be made here."""
    return None if Path("/dev/mapper/control").exists() else "this kernel has no device mapper"


def _read_ms(file: Path) -> float:
    """How long one block takes from the disk itself."""
    descriptor = os.open(file, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 4096) as block:
            begun = time.monotonic()
            os.readv(descriptor, [block])
            return (time.monotonic() - begun) * 1000
    finally:
        os.close(descriptor)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def mounted(path: Path, mapped: str = "") -> Iterator[None]:
    """A file system of its own, on a volume of that name if one is given. Errors leave it as it is."""
    image = ROOT / f"{path.name}.image"
    with image.open("wb") as stream:
        stream.truncate(SIZE)
    _run("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", str(image))
    with ExitStack() as undo:
        undo.callback(image.unlink)
        disk = _run("losetup", "--find", "--show", str(image))
        undo.callback(_run, "losetup", "--detach", disk)
        if mapped:
            _run("dmsetup", "create", mapped, "--table", f"0 {SIZE // 512} linear {disk} 0")
            undo.callback(_run, "dmsetup", "remove", "--retry", mapped)
            disk = f"/dev/mapper/{mapped}"
            until(Path(disk).exists)
        path.mkdir()
        undo.callback(path.rmdir)
        _run("mount", "-o", "errors=continue,noatime", disk, str(path))
        undo.callback(lambda: until(lambda: subprocess.run(["umount", str(path)], check=False).returncode == 0))
        yield


def case(how: Any, shows: Callable[[OnVolumes], str], *, by_mapper: bool = False) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[OnVolumes]:
        ROOT.mkdir()
        writers: list[Writer] = []
        try:
            with mounted(DATA, MAPPED if by_mapper else ""), mounted(BESIDE):
                try:
                    writers.extend(Writer(path) for path in (DATA, BESIDE))
                    yield OnVolumes(writers[0], writers[1], shows)
                finally:
                    for writer in writers:
                        writer.process.kill()
                        writer.process.wait()
        finally:
            for writer in writers:
                writer.notes.unlink()
            ROOT.rmdir()

    fault = Storage(how=how, path=str(DATA), delay_ms=DELAY_MS)
    lacks = no_mapper if by_mapper else lambda: None
    return Case(f"infrastructure.storage-{how}", fault, opened, unavailable=no_volumes, kernel_lacks=lacks)


CASES = (
    case("stuck", OnVolumes.stuck),
    case("detach", OnVolumes.gone, by_mapper=True),
    case("slow", OnVolumes.late, by_mapper=True),
)
