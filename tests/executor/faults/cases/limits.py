"""Faults that are limits on a process: processor time, processes, descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from executor.kernel import cgroup
from executor.model.faults.resource import CpuThrottle, FileDescriptors, Processes
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.hungry_kit import Hungry, Pair, no_cgroup, pair, scratch_cgroup

QUOTA = 20.0
LEAVE = 5
CHILDREN = 3


class Throttled(Pair):
    """One of them gets less of a core."""

    directory: Path

    def short(self, which: Hungry) -> bool:
        """As the kernel counts it: how much of a core it gets depends on how busy the machine is too."""
        before = _throttled(which)
        which.ask("spin", s=0.25)
        return _throttled(which) > before

    def state(self) -> Any:
        files = [file for file in self.directory.iterdir() if "quota" in file.name or file.name == "cpu.max"]
        return super().state() | {file.name: file.read_text(encoding="ascii") for file in files}

    def size(self) -> str:
        share = 100 * self.target.ask("spin", s=1.5)
        assert share < QUOTA + 3, "more than the quota"
        return f"{QUOTA:g} % of a core asked, {share:.1f} % got in 1.5 s"


class Childless(Pair):
    """One of them cannot start as many processes."""

    directory: Path

    def short(self, which: Hungry) -> bool:
        return bool(which.ask("children", count=8)[0] < 8)

    def state(self) -> Any:
        return super().state() | {"max": (self.directory / "pids.max").read_text(encoding="ascii")}

    def size(self) -> str:
        started, said = self.target.ask("children", count=8)
        assert (started, said) == (CHILDREN - 1, "EAGAIN")
        return f"{CHILDREN} processes asked, {started + 1} had, then {said}"


class Wanting(Pair):
    """One of them cannot open as many files."""

    def short(self, which: Hungry) -> bool:
        return bool(which.ask("descriptors", count=100)[0] < 100)

    def size(self) -> str:
        opened, said = self.target.ask("descriptors", count=100)
        assert (opened, said) == (LEAVE, "EMFILE")
        return f"{LEAVE} descriptors asked, {opened} opened, then {said}"


def _throttled(which: Hungry) -> int:
    """How often its cgroup has used up its quota; the root has none."""
    lines = (cgroup.hierarchy("cpu").of(which.process.pid) / "cpu.stat").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("nr_throttled ")), 0)


def inside(controller: str, kind: Callable[..., Any], *, own: bool) -> Callable[[Bench], Any]:
    """The target in a cgroup of a controller; alone there, or with the bystander."""

    @contextmanager
    def opened(bench: Bench) -> Iterator[Any]:
        with scratch_cgroup(controller) as directory, pair(kind) as made:
            made.directory = directory
            for one in (made.target,) if own else (made.target, made.bystander):
                cgroup.enter(directory, one.process.pid)
            yield made

    return opened


def wanting(bench: Bench) -> Any:
    return pair(Wanting)


CASES = (
    Case(
        "resource.cpu_throttle",
        CpuThrottle(quota_percent=QUOTA),
        inside("cpu", Throttled, own=False),
        unavailable=partial(no_cgroup, "cpu"),
    ),
    Case(
        "resource.processes",
        Processes(max=CHILDREN),
        inside("pids", Childless, own=True),
        unavailable=partial(no_cgroup, "pids"),
    ),
    Case("resource.file_descriptors", FileDescriptors(leave=LEAVE), wanting),
)
