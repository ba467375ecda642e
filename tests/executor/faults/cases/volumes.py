"""Faults on directories and the small volumes that the test mounts on them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.drivers import volume
from executor.model.faults.resource import DiskFill, DiskReadonly
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.hungry_kit import Hungry, Pair, pair
from tests.executor.kit import until

ROOT = Path(tempfile.gettempdir()) / f"larder-{os.getpid()}"
"""A fault names its directory, so that is known before the test begins."""
DATA, BESIDE = ROOT / "data", ROOT / "beside"
MIB = 2**20
TRIES = 20


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


CASES = (
    Case("resource.disk_fill", DiskFill(path=str(DATA)), on_volume(Full), unavailable=no_mounts),
    Case("resource.disk_readonly", DiskReadonly(path=str(DATA)), on_volume(ReadOnly), unavailable=no_mounts),
)
