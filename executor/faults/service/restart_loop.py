"""service.restart_loop: each time its supervisor has started the instance, it is killed again, a few times."""

from __future__ import annotations

import json
import sys
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Ends, EndsAgain, Succeeded, able
from executor.drivers.targets import ProcessTarget, Resolved, ResolvedInstance
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.service.down import Down
from executor.kernel import child, process

if TYPE_CHECKING:
    from executor.model.faults.service import RestartLoop as Spec

_LOOK_S = 0.05


class RestartLoop(Down):
    """A helper, or its own machine, kills what fits the instance, at a steady pace.

    Undone when one that fits runs and is left alone.
    """

    kind = "service.restart_loop"
    lease: LeaseKind = "watchdog"
    needs = (ProcessTarget, EndsAgain)

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """It must have a supervisor, and be told apart from others by its port or command."""
        assert isinstance(target, ResolvedInstance)
        if target.service.restarts != "supervised":
            return f"nobody is known to start {target.instance} again; use service.crash, or say restarts: supervised."
        pinned = isinstance(target, ProcessTarget) and target.port is None and not target.command
        if target.driver == "process" and pinned:
            return f"{target.instance} is pinned to one process; name its port or command in system.yaml."
        return super().unsupported(fault, target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how the instance was started, how often it is killed, and how fast."""
        assert isinstance(target, ResolvedInstance)
        recipe = able(target, Ends).ending(target, context, by="supervisor")
        loop = {"every_s": fault.every_s, "times": fault.times}
        return {"driver": target.driver, **recipe, **loop, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Kill it, and start the helper that does so again. Raises ``UnavailableError`` if it is gone."""
        how = able(record, Ends)
        if isinstance(how, EndsAgain):
            how.loop(record, record["every_s"], record["times"])
            super().renew(record, lease_s)
            return {}
        how.kill(record, "KILL")
        held.start("executor.faults.service.restart_loop", [json.dumps(dict(record))], record, lease_s)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helper's deadline on. One that has come to its end stays ended. Raises as ``Leased`` does."""
        held.renew(record, lease_s)
        super().renew(record, lease_s)

    def active(self, record: Record) -> bool | None:
        """Whether it is going to be killed again, or is down."""
        how = able(record, Ends)
        again = how.looping(record) if isinstance(how, EndsAgain) else held.alive(record)
        return again or (super().active(record) if again is False else again)

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
