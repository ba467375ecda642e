"""What a process and its workers use of the resources that may run out first."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from executor.errors import UnavailableError
from executor.kernel import cgroup, process
from executor.measure.capacity.steps import Usage


class Meter:
    """Looks at one instance again and again."""

    def __init__(self, pid: int, ticks: int) -> None:
        """That very process."""
        self._pid, self._ticks = pid, ticks
        self._memory = _place("memory", pid)
        self._cpu = _place("cpu", pid)
        self._alone = _alone(pid, ticks)
        self._kills = self._ended_for_memory()
        members = self._members()
        self._used, self._waited = _cpu_s(members), _waited_s(members)
        self._looked = time.monotonic()

    def look(self, at_s: float) -> Usage:
        """What is used now; ``at_s`` is only put down. One that is gone uses nothing."""
        members, used, waited, since = self._members(), self._used, self._waited, self._looked
        self._used, self._waited, self._looked = _cpu_s(members), _waited_s(members), time.monotonic()
        took_s = max(1e-3, self._looked - since)
        spent_s, kept_s = _more(used, self._used), _more(waited, self._waited)
        busiest_s = max((spent_s[pid] + kept_s.get(pid, 0.0) for pid in spent_s), default=0.0)
        limit = cgroup.limit("memory", self._memory) if self._memory else None
        if self._memory and limit is not None:
            memory = cgroup.memory_used(self._memory)
        else:
            memory = sum(said.rss for each in members if (said := _of(each, "memory_info")))
        return Usage(
            at_s=round(at_s, 3),
            cpu_cores=round(sum(spent_s.values()) / took_s, 3),
            waiting_cores=round(sum(kept_s.values()) / took_s, 3),
            busiest=round(busiest_s / took_s, 3),
            cores=self._allowed(),
            memory_bytes=memory,
            memory_max=limit,
            descriptors=round(max(map(_descriptors, members), default=0.0), 4),
            threads=sum(_of(each, "num_threads") or 0 for each in members),
            alive=process.alive(self._pid, self._ticks),
            out_of_memory=self._ended_for_memory() > self._kills,
        )

    def _ended_for_memory(self) -> int:
        """Of a cgroup that others are in too nobody can say whose processes these were."""
        return cgroup.memory_kills(self._memory) if self._memory and self._alone else 0

    def _members(self) -> list[psutil.Process]:
        found = []
        with suppress(UnavailableError):  # it is gone
            for pid, _ in process.members(self._pid, self._ticks):
                with suppress(psutil.Error):
                    found.append(psutil.Process(pid))
        return found

    def _allowed(self) -> float:
        try:
            mine = len(os.sched_getaffinity(self._pid))
        except OSError:  # it is gone
            mine = os.cpu_count() or 1
        quota = cgroup.cores(self._cpu) if self._cpu else None
        return mine if quota is None else min(mine, quota)


def _place(controller: str, pid: int) -> Path | None:
    try:
        return cgroup.hierarchy(controller).of(pid)
    except (UnavailableError, OSError):
        return None


def _alone(pid: int, ticks: int) -> bool:
    try:
        return cgroup.own(cgroup.hierarchy("memory"), pid, ticks)
    except (UnavailableError, OSError):
        return False


def _cpu_s(members: Sequence[psutil.Process]) -> dict[int, float]:
    used = {each.pid: _of(each, "cpu_times") for each in members}
    return {pid: times.user + times.system for pid, times in used.items() if times}


def _waited_s(members: Sequence[psutil.Process]) -> dict[int, float]:
    """Seconds that the threads of each were ready to run and did not. Source: Linux, ``scheduler/sched-stats.rst``."""
    found: dict[int, float] = {}
    for each in members:
        found[each.pid] = 0.0
        with suppress(OSError):  # it is gone
            for task in os.listdir(f"/proc/{each.pid}/task"):  # noqa: PTH208 - only their names
                with suppress(OSError, IndexError):  # it has ended, or this kernel does not count
                    said = Path(f"/proc/{each.pid}/task/{task}/schedstat").read_text(encoding="ascii")
                    found[each.pid] += int(said.split()[1]) / 1e9
    return found


def _more(before: dict[int, float], now: dict[int, float]) -> dict[int, float]:
    """What has come since then; those that have ended meanwhile take theirs with them."""
    return {of: max(0.0, value - before.get(of, 0.0)) for of, value in now.items()}


def _of(of: psutil.Process, what: str) -> Any:
    """One thing about a process; ``None`` if it is gone or may not be looked at."""
    try:
        return getattr(of, what)()
    except psutil.Error:
        return None


def _descriptors(of: psutil.Process) -> float:
    try:
        soft, _ = resource.prlimit(of.pid, resource.RLIMIT_NOFILE)
    except OSError:
        return 0.0
    return (_of(of, "num_fds") or 0) / soft if soft > 0 else 0.0
