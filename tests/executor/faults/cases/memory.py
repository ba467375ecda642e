"""The kernel ends a process of a cgroup whose memory is used up, and none beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from executor.kernel import cgroup, cgroup_limit
from executor.model.faults.resource import Oom
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.instances import ShelfSubject
from tests.executor.faults.hungry_kit import no_cgroup, scratch_cgroup
from tests.executor.kit import Shelf, shelves


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


CASES = (Case("resource.oom", Oom(), inside(own=False), unavailable=partial(no_cgroup, "memory")),)
