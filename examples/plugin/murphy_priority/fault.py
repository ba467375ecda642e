"""resource.priority: the process has to wait for all others that want the processor. The whole fault is in this file.

``Priority`` is what people and plans write, ``Lowered`` is how it is made and undone; entry points in pyproject.toml
name both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import process
from executor.model.faults import FaultSpec, TargetKind
from executor.model.vocabulary import FaultType, Scope


class Priority(FaultSpec):
    """The instance's processes come last when others want the processor."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = "An idle machine shows nothing of it; it bites only beside others that are busy."
    look: ClassVar[FaultType] = FaultType.STARVED_CPU
    kind: Literal["resource.priority"] = "resource.priority"
    nice: Annotated[int, Field(ge=1, le=19)] = 19
    """The nice value that its processes get: the higher, the later is their turn."""

    def words(self) -> str:
        """What is done."""
        return f"let it wait for others that want the processor (nice {self.nice})"


class Lowered:
    """Sets the nice value of the process and its workers, and puts back what each had."""

    kind = "resource.priority"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Priority, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """Only root may raise a priority again, which undoing it means."""
        assert isinstance(target, ProcessTarget)
        if os.geteuid() != 0:
            return "only root can put a priority back that was lowered; run Murphy as root."
        return process.forbidden(target.pid, target.start_ticks)

    def prepare(self, fault: Priority, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record each process with its threads and the values they have."""
        assert isinstance(target, ProcessTarget)
        members = process.members(target.pid, target.start_ticks)
        before = {
            str(pid): {str(tid): os.getpriority(os.PRIO_PROCESS, tid) for tid in _threads(pid)} for pid, _ in members
        }
        process.require(target.pid, target.start_ticks)  # else what was read may be another process's
        return {"members": members, "nice": fault.nice, "before": before}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Lower them. Raises ``UnavailableError`` if the process is gone."""
        if not process.alive(*record["members"][0]):
            raise UnavailableError("the process ended before its priority could be lowered.")
        for tid, _ in _each(record):
            os.setpriority(os.PRIO_PROCESS, tid, record["nice"])
        return {}

    def active(self, record: Record) -> bool:
        """Whether one of them has another value than before; what is gone has none."""
        return any(os.getpriority(os.PRIO_PROCESS, tid) != before for tid, before in _each(record))

    def revert(self, record: Record) -> None:
        """Put the values back; threads that were made meanwhile get that of their process."""
        for tid, before in _each(record):
            os.setpriority(os.PRIO_PROCESS, tid, before)


def _each(record: Record) -> Iterator[tuple[int, int]]:
    """Thread and the value it had, of all that live. The open descriptor keeps a pid from being reused."""
    for pid, ticks in record["members"]:
        before = {int(tid): value for tid, value in record["before"][str(pid)].items()}
        with suppress(ProcessLookupError), process.opened(pid, ticks):
            for tid in _threads(pid):
                yield tid, before.get(tid, before[pid])
    yield from _since(record)


def _since(record: Record) -> Iterator[tuple[int, int]]:
    """The same of workers that were started meanwhile and have our value from whoever started them."""
    started: list[list[int]] = []
    with suppress(UnavailableError):  # it is gone
        started = [member for member in process.members(*record["members"][0]) if member not in record["members"]]
    head = str(record["members"][0][0])
    for pid, ticks in started:
        above = str(process.parent(pid))
        before = record["before"][above][above] if above in record["before"] else record["before"][head][head]
        with suppress(ProcessLookupError), process.opened(pid, ticks):
            for tid in _threads(pid):
                if os.getpriority(os.PRIO_PROCESS, tid) == record["nice"]:
                    yield tid, before


def _threads(pid: int) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError as gone:
        raise ProcessLookupError(f"process {pid} is gone") from gone
