"""service.restart_loop: each time its supervisor has started the instance, it is killed again, a few times."""

from __future__ import annotations

import json
import sys
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Ends, Succeeded, able
from executor.drivers.targets import ProcessTarget, Resolved
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.service.down import Down
from executor.kernel import child, process

if TYPE_CHECKING:
    from executor.model.faults.service import RestartLoop as Spec

_LOOK_S = 0.05


class RestartLoop(Down):
    """A helper kills what fits the instance, at a steady pace; undone when one that fits runs and is left alone."""

    kind = "service.restart_loop"
    lease: LeaseKind = "watchdog"
    needs = ProcessTarget

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """It must have a supervisor, and be told apart from others by its port or command."""
        assert isinstance(target, ProcessTarget)
        if target.service.restarts != "supervised":
            return f"nobody is known to start {target.instance} again; use service.crash, or say restarts: supervised."
        if target.driver == "process" and target.port is None and not target.command:
            return f"{target.instance} is pinned to one process; name its port or command in system.yaml."
        return super().unsupported(fault, target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the instance was started, how often it is killed, and how fast."""
        assert isinstance(target, ProcessTarget)
        recipe = able(target, Ends).ending(target, context, by="supervisor")
        loop = {"every_s": fault.every_s, "times": fault.times}
        return {"driver": target.driver, **recipe, **loop, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Kill it, and start the helper that does so again. Raises ``UnavailableError`` if it is gone."""
        able(record, Ends).kill(record, "KILL")
        held.start("executor.faults.service.restart_loop", [json.dumps(dict(record))], record, lease_s)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helper's deadline on. One that has come to its end stays ended."""
        held.renew(record, lease_s)

    def active(self, record: Record) -> bool | None:
        """Whether it is going to be killed again, or is down."""
        return held.alive(record) or super().active(record)

    def revert(self, record: Record) -> None:
        """End the helper, and see an instance back."""
        held.end(record)
        super().revert(record)


def main() -> None:
    """The helper: kill whatever takes the instance's place, until it has been killed often enough."""
    lease, (told,) = child.lease(sys.argv[1:])
    record = json.loads(told)
    child.ready()
    for _ in range(record["times"] - 1):
        if not lease.wait(record["every_s"]):
            return
        while not (found := able(record, Succeeded).successors(record)):
            if not lease.wait(_LOOK_S):
                return
        for pid, ticks in found:
            process.send(pid, ticks, Signals.SIGKILL)


if __name__ == "__main__":
    main()
