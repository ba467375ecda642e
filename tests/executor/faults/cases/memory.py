"""The memory of a process's cgroup is filled to a level, or used up, so that the kernel ends it and none beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from executor.kernel import cgroup, cgroup_limit
from executor.model.faults.resource import Memory, Oom
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.instances import ShelfSubject
from tests.executor.faults.hungry_kit import no_cgroup, scratch_cgroup
from tests.executor.kit import Shelf, shelves

FILL_PERCENT = 75
LIMIT_BYTES = 192 * 2**20
LIMIT = ("memory.max", "memory.limit_in_bytes")


class Starved(ShelfSubject):
    """A shelf in a cgroup that the test made; where it shares that, the one that stands by is in it too."""

    def __init__(self, shelf: Shelf, other: Shelf, path: Path, directory: Path) -> None:
        super().__init__(shelf, other, path, lambda _: shelf.found() is None, Starved.killed, "by_hand")
        self.directory, self.kills = directory, _kills()

    def unharmed(self) -> bool:
        return super().unharmed() and self.other.started.poll() is None

    def state(self) -> Any:
        where = cgroup.hierarchy("memory")
        limits = cgroup_limit.memory_shortage(where, self.directory, 0, empty=True)
        return super().state() | {
            "cgroup": str(where.of(self.resolved().pid)),
            "limits": [(self.directory / name).read_text(encoding="ascii") for name in limits],
            "below": [entry.name for entry in self.directory.iterdir() if entry.is_dir()],
            "score": Path(f"/proc/{self.resolved().pid}/oom_score_adj").read_text(encoding="ascii"),
        }

    def killed(self) -> str:
        ended, counted = self.shelf.started.wait(10), _kills() - self.kills
        assert ended == -9
        assert counted >= 1
        return f"1 process asked; it was ended by signal {-ended}, for lack of memory as the kernel says"


class Filled(Starved):
    """A shelf alone in a cgroup with a limit."""

    def __init__(self, shelf: Shelf, other: Shelf, path: Path, directory: Path) -> None:
        super().__init__(shelf, other, path, directory)
        self.shows, self._size = Filled.full, Filled.level

    def share(self) -> float:
        """How much of the limit is in use, cached files aside, percent."""
        lines = (self.directory / "memory.stat").read_text(encoding="ascii").splitlines()
        said = {name: int(number) for name, number in (line.split() for line in lines)}
        used = said["total_rss"] if "total_rss" in said else said["anon"]
        return 100 * used / LIMIT_BYTES

    def full(self) -> bool:
        return self.share() > FILL_PERCENT - 3

    def level(self) -> str:
        share = self.share()
        assert abs(share - FILL_PERCENT) < 3
        return f"{FILL_PERCENT} % of {LIMIT_BYTES / 2**20:.0f} MiB in use asked, {share:.1f} %"


def _kills() -> int:
    """How often the kernel has ended a process of this machine for lack of memory, in a cgroup or at all."""
    lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def inside(*, own: bool) -> Callable[[Bench], Any]:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Starved]:
        with scratch_cgroup("memory") as directory, shelves("books", "beside", chained=False) as (shelf, beside):
            for one in (shelf,) if own else (shelf, beside):
                cgroup.enter(directory, one.started.pid)
            yield Starved(shelf, beside, bench.path, directory)

    return opened


@contextmanager
def limited(bench: Bench) -> Iterator[Filled]:
    with scratch_cgroup("memory") as directory, shelves("books", "beside", chained=False) as (shelf, beside):
        next(directory / name for name in LIMIT if (directory / name).exists()).write_text(str(LIMIT_BYTES))
        cgroup.enter(directory, shelf.started.pid)
        yield Filled(shelf, beside, bench.path, directory)


CASES = (
    Case("resource.oom", Oom(), inside(own=False), unavailable=partial(no_cgroup, "memory")),
    Case(
        "resource.memory-fill-cgroup",
        Memory(fill_percent=FILL_PERCENT),
        limited,
        unavailable=partial(no_cgroup, "memory"),
    ),
)
