"""resource.memory: a helper takes memory and holds it."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers import child
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.resource import Memory as Spec

FLOOR_PERCENT = 10
"""Share of the host's memory that always stays free, whatever is asked."""
_STEP_BYTES = 16 * 2**20
_TICK_S = 0.1


class Memory:
    """The helper touches every page, and is the first that the kernel ends when memory runs out."""

    kind = "resource.memory"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the host's memory is meant
        """What would bring the host itself down is not done."""
        total, free = _host_memory()
        floor = total * FLOOR_PERCENT // 100
        if free - fault.bytes < floor:
            most = max(0, free - floor) // 2**20
            asked = fault.bytes // 2**20
            return f"{asked} MiB would leave the host less than {FLOOR_PERCENT} %; ask for at most {most} MiB."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record how much, and how fast."""
        return {"bytes": fault.bytes, "grow": fault.grow_bytes_per_s, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once it holds what it takes at once."""
        arguments = [str(record["bytes"]), str(record["grow"])]
        return held.start("executor.faults.resource.memory", arguments, record, lease_s)

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helper's deadline on."""
        held.renew(record, lease_s)

    def active(self, record: Record) -> bool:
        """Whether the helper lives."""
        return held.alive(record)

    def revert(self, record: Record) -> None:
        """End the helper; the kernel takes its memory back."""
        held.end(record)


def _host_memory() -> tuple[int, int]:
    """Total and available memory of the host, bytes."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return fields["MemTotal"], fields["MemAvailable"]


def main() -> None:
    """The helper: take memory, at once or growing, and hold it."""
    lease, (wanted, grow) = child.lease(sys.argv[1:])
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    blocks: list[mmap.mmap] = []
    left, rate = int(wanted), int(grow)
    while not rate and left > 0 and lease.left_s() > 0:
        left -= _take(blocks, min(left, _STEP_BYTES))
    child.ready()
    while lease.wait(_TICK_S):
        if left > 0:
            left -= _take(blocks, min(left, max(mmap.PAGESIZE, int(rate * _TICK_S))))


def _take(blocks: list[mmap.mmap], size: int) -> int:
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1  # a page never written to takes no memory
    blocks.append(block)
    return size


if __name__ == "__main__":
    main()
