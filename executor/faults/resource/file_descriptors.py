"""resource.file_descriptors: the process may open no more files and connections."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import process

if TYPE_CHECKING:
    from executor.model.faults.resource import FileDescriptors as Spec


class FileDescriptors:
    """The soft RLIMIT_NOFILE of each of its processes comes down; the hard one stays, so undoing takes no privilege."""

    kind = "resource.file_descriptors"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to limit."""
        assert isinstance(target, ProcessTarget)
        return process.forbidden(target.pid, target.start_ticks)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record each process's limit. Raises ``UnavailableError`` if it is gone, or may not be looked at."""
        assert isinstance(target, ProcessTarget)
        members = process.members(target.pid, target.start_ticks)
        try:
            limits = [list(resource.prlimit(pid, resource.RLIMIT_NOFILE)) for pid, _ in members]
        except (OSError, ProcessLookupError) as error:
            raise UnavailableError(f"its limits cannot be read: {error.strerror}.", where=target.instance) from None
        process.require(target.pid, target.start_ticks)
        return {"members": members, "limits": limits, "leave": fault.leave}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Lower them to what is open now, and what is left. Raises ``UnavailableError`` if the process is gone."""
        process.require(*record["members"][0])
        for (pid, ticks), (soft, hard) in zip(record["members"], record["limits"], strict=True):
            with suppress(ProcessLookupError, FileNotFoundError):  # a worker that has ended
                _set(pid, ticks, _least(soft, _beyond(pid, record["leave"])), hard)
        process.require(*record["members"][0])
        return {}

    def active(self, record: Record) -> bool:
        """Whether one of them has another limit than before."""
        return any(_limit(pid, ticks) not in (None, limit) for (pid, ticks), limit in _each(record))

    def revert(self, record: Record) -> None:
        """Give each its limit back."""
        for (pid, ticks), (soft, hard) in _each(record):
            with suppress(ProcessLookupError):
                _set(pid, ticks, soft, hard)


def _each(record: Record) -> list[tuple[list[int], list[int]]]:
    """Its processes with the limits of then; workers that it has started since have got theirs from it."""
    members, limits = record["members"], record["limits"]
    since: list[list[int]] = []
    with suppress(UnavailableError):  # it is gone
        since = [member for member in process.members(*members[0]) if member not in members]
    return [*zip(members, limits, strict=True), *((member, limits[0]) for member in since)]


def _least(soft: int, wanted: int) -> int:
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)


def _set(pid: int, ticks: int, soft: int, hard: int) -> None:
    """Raises ``ProcessLookupError`` if that very process is gone."""
    with process.opened(pid, ticks):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _limit(pid: int, ticks: int) -> list[int] | None:
    with suppress(ProcessLookupError), process.opened(pid, ticks):
        return list(resource.prlimit(pid, resource.RLIMIT_NOFILE))
    return None


def _beyond(pid: int, leave: int) -> int:
    """The limit under which so many more can be opened: new ones take the lowest free numbers."""
    taken = {int(entry.name) for entry in os.scandir(Path(f"/proc/{pid}/fd"))}
    limit = 0
    while leave >= 0:
        if limit not in taken:
            leave -= 1
        limit += 1
    return limit - 1
