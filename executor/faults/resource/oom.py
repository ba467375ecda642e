"""resource.oom: the memory of the process's cgroup is used up, and the kernel ends the process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Ends, able
from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, Record
from executor.faults.service.down import Down
from executor.kernel import cgroup, cgroup_limit, child, process

if TYPE_CHECKING:
    from executor.model.faults.resource import Oom as Spec

_ROOM_BYTES = 32 * 2**20
"""The limit is so much above what is used, so that the kernel accepts it; the helper, which is smaller, takes it."""
_STEP_BYTES = 2**20
_FIRST, _NEVER = 1000, -1000
"""Scores by which the kernel chooses whom to end."""
_ENDS_WITHIN_S = 12.0
_DIES_S = 2.0


class Oom(Down):
    """The limit and the helper stand for the moment only; the process is down until one that fits runs again."""

    kind = "resource.oom"
    needs = ProcessTarget

    def lacking(self) -> str | None:
        """The controller of memory, where limits can be set by it."""
        return cgroup_limit.unusable("memory")

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """It must be ours to end, with a way to start it again, its cgroup ours to limit, and the kernel free to."""
        assert isinstance(target, ProcessTarget)
        try:
            where = cgroup.hierarchy("memory")
            if _score(target.pid) == _NEVER:
                return f"{target.instance} is kept from ever being ended by the kernel (oom_score_adj {_NEVER})."
        except (UnavailableError, OSError) as error:
            return str(error)
        return super().unsupported(fault, target) or cgroup_limit.impossible(where, target.pid, target.start_ticks)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how it was started, and the limit. Raises ``UnavailableError`` if it is gone, or cannot be limited."""
        assert isinstance(target, ProcessTarget)
        if reason := self.unsupported(fault, target):
            raise UnavailableError(reason, where=target.instance)
        where = cgroup.hierarchy("memory")
        recipe = able(target, Ends).ending(target, context, by=fault.restart)
        settings = cgroup_limit.memory_shortage(where, where.of(target.pid), _ROOM_BYTES, empty=True)
        limit = cgroup_limit.plan(where, target.pid, target.start_ticks, settings, context.mark)
        score = _score(target.pid)
        process.require(target.pid, target.start_ticks)
        how = {"driver": target.driver, "score": score, "restart": fault.restart}
        return {**how, **recipe, **limit, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Use the memory up until the process has ended. Raises ``UnavailableError`` if it has not within 12 s."""
        head = record["members"][0]
        settings = record["settings"]
        if "origin" not in record:  # how much it uses may have changed
            where = cgroup.hierarchy("memory")
            settings = cgroup_limit.memory_shortage(where, Path(record["cgroup"]), _ROOM_BYTES, empty=False)
        cgroup_limit.impose({**record, "settings": settings})
        _choose(head, _FIRST)
        arguments = [record["cgroup"], *map(str, head), str(max(map(int, settings.values())))]
        try:
            held.start("executor.faults.resource.oom", arguments, record, lease_s, ready_s=_ENDS_WITHIN_S)
        except UnavailableError:  # where the process had little memory there, the kernel ends the helper after it
            if not process.wait_gone(head[0], head[1], _DIES_S):
                raise
        self._let_go(record)
        for pid, ticks in record["members"][1:]:  # their head cannot end them any more
            process.send(pid, ticks, Signals.SIGKILL)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether none that fits runs, or memory is still short."""
        return held.alive(record) or cgroup_limit.imposed(record) or super().active(record)

    def revert(self, record: Record) -> None:
        """Memory as it was; let the supervisor start it, or start it."""
        self._let_go(record)
        _choose(record["members"][0], record["score"])
        super().revert(record)

    def _let_go(self, record: Record) -> None:
        held.end(record)
        cgroup_limit.lift(record)


def _score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def _choose(head: list[int], score: int) -> None:
    """Set the score of that very process; nothing if it is gone."""
    with suppress(ProcessLookupError, FileNotFoundError), process.opened(*head):
        Path(f"/proc/{head[0]}/oom_score_adj").write_text(str(score), encoding="ascii")


def main() -> None:
    """The helper: take memory in the process's cgroup until the process has ended."""
    lease, (directory, pid, ticks, most) = child.lease(sys.argv[1:])
    with suppress(OSError):  # without the privilege the process's own score, the highest, has to do
        Path("/proc/self/oom_score_adj").write_text(str(_NEVER), encoding="ascii")
    cgroup.enter(Path(directory), os.getpid())
    # Written to a file in memory it is the cgroup's, and no process's own: it makes the helper no larger than it was.
    taken, block = os.memfd_create("murphy"), bytes(_STEP_BYTES)
    while process.alive(int(pid), int(ticks)) and lease.wait(0):
        with suppress(OSError):  # none left: the kernel is ending somebody
            os.write(taken, block)
        if os.fstat(taken).st_size > int(most):
            sys.exit("the kernel did not end the process for lack of memory")
    os.close(taken)
    child.ready()
    while lease.wait(1.0):
        pass


if __name__ == "__main__":
    main()
