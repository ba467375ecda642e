"""resource.file_descriptors: the process may open no more files and connections."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from executor.clock import start_ticks
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
        """It must be ours to limit, with each of its workers."""
        assert isinstance(target, ProcessTarget)
        if reason := process.forbidden(target.pid, target.start_ticks):
            return reason
        try:
            _read(target)
        except UnavailableError as error:
            return error.message
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Record each process's limit. Raises ``UnavailableError`` if it is gone, or may not be looked at."""
        assert isinstance(target, ProcessTarget)
        read = _read(target)
        limits = {"members": [member for member, _ in read], "limits": [limit for _, limit in read]}
        return {**limits, "session": _session(target.pid), "leave": fault.leave}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Lower them to what is open now, and what is left. Raises ``UnavailableError`` if the process is gone."""
        process.require(*record["members"][0])
        lowered = [soft for soft, _ in record["limits"]]
        for at, ((pid, ticks), (soft, hard)) in enumerate(zip(record["members"], record["limits"], strict=True)):
            with suppress(ProcessLookupError, FileNotFoundError):  # a worker that has ended
                lowered[at] = _least(soft, _beyond(pid, record["leave"]))
                _set(pid, ticks, lowered[at], hard)
        process.require(*record["members"][0])
        return {"lowered": lowered}

    def active(self, record: Record) -> bool:
        """Whether one of them has a limit of ours."""
        of_then = _of_then(record)
        return bool(of_then or _since(record, of_then))

    def revert(self, record: Record) -> None:
        """Give each its limit back; those by which it is told which workers have theirs from them come late."""
        of_then = _of_then(record)
        for limited in (_since(record, of_then), of_then, _since(record, of_then)):
            for one in limited:
                with suppress(ProcessLookupError):
                    _set(one.pid, one.ticks, *one.before)


class _Limited(NamedTuple):
    """A process under a limit of ours: soft and hard, now and before."""

    pid: int
    ticks: int
    now: list[int]
    before: list[int]


def _read(target: ProcessTarget) -> list[tuple[list[int], list[int]]]:
    """Each of its processes with its limits. Raises ``UnavailableError`` if it is gone, or they may not be read."""
    read = [(member, _limit(*member)) for member in process.members(target.pid, target.start_ticks)]
    process.require(target.pid, target.start_ticks)
    return [(member, limit) for member, limit in read if limit is not None]


def _of_then(record: Record) -> list[_Limited]:
    """Its processes of then whose limit is ours; one that has set itself another meanwhile keeps that."""
    found = []
    lowered = record.get("lowered") or repeat(None)  # not told by who died before it was all done
    for (pid, ticks), before, low in zip(record["members"], record["limits"], lowered, strict=False):
        now = _limit(pid, ticks)
        if now is not None and now != before and (low is None or now == [low, before[1]]):
            found.append(_Limited(pid, ticks, now, before))
    return found


def _since(record: Record, of_then: list[_Limited]) -> list[_Limited]:
    """What was started since by it, or by what it started, and has a limit of ours from it, also when it is gone.

    Who has another has set it itself, as nginx's workers do that have ``worker_rlimit_nofile``.
    """
    before = {tuple(one.now): one.before for one in of_then}
    for (soft, hard), low in zip(record["limits"], record.get("lowered") or (), strict=False):
        if low != soft:
            before.setdefault((low, hard), [soft, hard])
    found: list[_Limited] = []
    for pid in process.pids() if before else ():
        with suppress(OSError, UnavailableError):  # it has ended, or is somebody else's
            now = resource.prlimit(pid, resource.RLIMIT_NOFILE)  # first, since it tells nearly all apart at once
            ticks = start_ticks(pid) if now in before else None
            if ticks is None or ticks < record["members"][0][1] or [pid, ticks] in record["members"]:
                continue
            if _limit(pid, ticks) == list(now) and _came_of(record, pid):
                found.append(_Limited(pid, ticks, list(now), before[now]))
    return found


def _came_of(record: Record, pid: int) -> bool:
    """Whether it is below the process, or in its session: a successor outlives the one that has started it."""
    session = record.get("session")  # an earlier Murphy's record has none
    return (session is not None and _session(pid) == session) or record["members"][0][0] in process.lineage(pid)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _least(soft: int, wanted: int) -> int:
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)


def _set(pid: int, ticks: int, soft: int, hard: int) -> None:
    """Raises ``ProcessLookupError`` if that very process is gone."""
    with process.opened(pid, ticks):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _limit(pid: int, ticks: int) -> list[int] | None:
    """Soft and hard; ``None`` if that very process is gone. Raises ``UnavailableError`` if it may not be read."""
    try:
        with process.opened(pid, ticks):
            return list(resource.prlimit(pid, resource.RLIMIT_NOFILE))
    except ProcessLookupError:
        return None
    except OSError as error:
        why = f"the limits of process {pid} cannot be read ({error.strerror})"
        raise UnavailableError(f"{why}; run Murphy as its user, or with CAP_SYS_RESOURCE.") from None


def _beyond(pid: int, leave: int) -> int:
    """The limit under which so many more can be opened: new ones take the lowest free numbers."""
    taken = {int(entry.name) for entry in os.scandir(Path(f"/proc/{pid}/fd"))}
    limit = 0
    while leave >= 0:
        if limit not in taken:
            leave -= 1
        limit += 1
    return limit - 1
