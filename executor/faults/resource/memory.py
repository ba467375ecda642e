"""resource.memory: a helper takes memory and holds it, in the process's cgroup if that is its own."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import cgroup, child, consumed
from executor.model.vocabulary import Scope

if TYPE_CHECKING:
    from executor.model.faults.resource import Memory as Spec

_LEAST_BYTES = 2**20
FLOOR_PERCENT = 10
"""Share of the host's memory that always stays free, whatever is asked."""
_TAKES_BYTES_PER_S = 100 * 2**20
"""A slow machine's pace; a fast one takes gigabytes a second."""
_CONTAINERS = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory")
"""Where a container sees its own cgroup, by version 2 and 1."""
_ROOM_PERCENT = 90
"""Of what is left in a cgroup whose processes the kernel ends together, so much may be taken at most."""
_STEP_BYTES = 16 * 2**20
_TICK_S = 0.1


class Memory(held.Held):
    """The helper touches every page, and is the first that the kernel ends when memory runs out."""

    kind = "resource.memory"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """What would bring the host itself down is not done, nor what is there already."""
        assert isinstance(target, ProcessTarget)
        try:
            _amount(fault, _place(target))
        except UnavailableError as error:
            return str(error)
        return None

    def reaches(self, fault: Spec, target: Resolved) -> tuple[Scope, ...]:  # noqa: ARG002 - the protocol's
        """The machine, unless the helper goes into a cgroup of the process's own, which has a limit."""
        assert isinstance(target, ProcessTarget)
        bounded = cgroup.own_and_limited("memory", target.pid, target.start_ticks)
        return (Scope.TARGET,) if bounded else (Scope.MACHINE,)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how much, in bytes, and how fast.

        Raises ``UnavailableError`` if too little is left, the level is reached already, or there is no target.
        """
        assert isinstance(target, ProcessTarget)
        place = _place(target)
        return {"bytes": _amount(fault, place), "grow": fault.grow_bytes_per_s, "cgroup": place, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once it holds what it takes at once."""
        arguments = [str(record["bytes"]), str(record["grow"]), record.get("cgroup", "")]
        ready_s = 10 + record["bytes"] / _TAKES_BYTES_PER_S
        return held.start("executor.faults.resource.memory", arguments, record, lease_s, ready_s=ready_s)

    def tells(self, record: Record) -> str:
        """How much the helper has by now, which is more than it was to take by what it is itself."""
        has = sum(consumed.resident_bytes(pid, ticks) for pid, ticks in record.get("helpers", ()))
        return f"{record['bytes'] / 2**20:,.0f} MiB asked, {has / 2**20:,.0f} MiB resident with the helper's own"


def _place(target: ProcessTarget) -> str:
    """Its own cgroup, if it has one. Raises ``UnavailableError`` if that very process is gone."""
    return cgroup.own_place("memory", target.pid, target.start_ticks)


def _amount(fault: Spec, place: str) -> int:
    """How much is to be taken now, bytes. Raises ``UnavailableError`` if it is nothing, or too much for the host."""
    total, free = host_memory()
    amount = fault.bytes
    if amount is None:
        amount = _missing(fault.fill_percent or 0, place, total, free)
    floor = _reserve(total)
    if free - amount < floor:
        most = max(0, free - floor) // 2**20
        asked = amount // 2**20
        raise UnavailableError(
            f"{asked} MiB would leave the host less than {FLOOR_PERCENT} %; ask for at most {most} MiB."
        )
    if place and (why := ends_it(Path(place), amount)):
        raise UnavailableError(why)
    return amount


def ends_it(place: Path, amount: int) -> str:
    """Why so much more memory in use would end the target with the helper, in one sentence; empty: it would not."""
    limit = cgroup.limit("memory", place)
    if limit is None or not cgroup.ends_together(place):
        return ""
    most = (limit - cgroup.memory_used(place)) * _ROOM_PERCENT // 100
    if amount <= most:
        return ""
    return (
        f"where the memory of its cgroup runs out the kernel ends the target too (memory.oom.group); "
        f"ask for at most {max(0, most) // 2**20} MiB."
    )


def _missing(percent: float, place: str, total: int, free: int) -> int:
    """What is missing until so much of the cgroup's limit, or else of the host's memory, is in use."""
    whose, used = "the host's memory", total - free
    if place and (limit := cgroup.limit("memory", Path(place))) is not None:
        whose, total, used = f"the limit of its cgroup ({limit // 2**20:,} MiB)", limit, cgroup.memory_used(Path(place))
    missing = int(total * percent / 100) - used
    if missing < _LEAST_BYTES:
        raise UnavailableError(f"{100 * used / total:.1f} % of {whose} is in use already; fill it to more than that.")
    return missing


def host_memory() -> tuple[int, int]:
    """Total and available memory, bytes: of the host, or of the container that we run in if it has less left."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    total, free = fields["MemTotal"], fields["MemAvailable"]
    for place in map(Path, _CONTAINERS):
        if (most := cgroup.limit("memory", place)) is not None:
            total, free = min(total, most), min(free, most - cgroup.memory_used(place))
    return total, free


def main() -> None:
    """The helper: take memory, at once or growing, and hold it."""
    lease, (wanted, grow, *places) = child.lease(sys.argv[1:])
    for place in filter(None, places):
        cgroup.enter(Path(place), os.getpid())
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    blocks: list[mmap.mmap] = []
    left, rate = int(wanted), int(grow)
    while not rate and left > 0 and lease.wait(0):
        step = min(left, _STEP_BYTES)
        if _spare() < step:
            sys.exit(f"others have taken memory meanwhile: {left // 2**20} MiB more would leave less than the reserve")
        left -= _take(blocks, step)
    child.ready()
    while lease.wait(_TICK_S):
        step = min(left, max(mmap.PAGESIZE, int(rate * _TICK_S)), _spare())
        if step >= min(left, mmap.PAGESIZE) > 0:
            left -= _take(blocks, step)


def _spare() -> int:
    """Bytes of which the host can be taken now, its reserve aside: others may have taken memory since it was asked."""
    total, free = host_memory()
    return free - _reserve(total)


def _reserve(total: int) -> int:
    return total * FLOOR_PERCENT // 100


def _take(blocks: list[mmap.mmap], size: int) -> int:
    populated = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE  # a page never touched takes no memory
    blocks.append(mmap.mmap(-1, size, flags=populated))
    return size


if __name__ == "__main__":
    main()
