"""infrastructure.container: its engine kills, pauses, stops, restarts, removes it, or cuts it off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from executor import extras
from executor.drivers.container import aside, network
from executor.drivers.container.driver import DRIVER
from executor.drivers.container.state import asked, asking, named, of_then
from executor.drivers.targets import Contained, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.service.stop import LONGEST_GRACE_S

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Container as Spec


class Container:
    """What an operator, or whatever manages containers, does to one through its engine."""

    kind = "infrastructure.container"
    lease: LeaseKind = "watchdog"
    needs = Contained

    def lacking(self) -> str | None:
        """The client of an engine."""
        return extras.lacking("docker")

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """The engine must be able to undo it."""
        assert isinstance(target, Contained)
        if fault.how == "pause":
            return DRIVER.unfreezable(target)
        if fault.how == "disconnect":
            return network.refusal(target, fault.network)
        if fault.grace_s > LONGEST_GRACE_S:
            return f"a grace time of {fault.grace_s:g} s is not waited for; give at most {LONGEST_GRACE_S:g} s."
        return DRIVER.unendable(target)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which container, and how it is. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, Contained)
        if reason := self.unsupported(fault, target):
            raise UnavailableError(reason, where=target.instance)
        how = {"driver": target.driver, "how": fault.how}
        if fault.how == "pause":
            return how | DRIVER.freezing(target)
        if fault.how == "disconnect":
            networks = network.joined(of_then(target), fault.network)
            return how | named(target) | asked(context) | {"networks": networks}
        kept = DRIVER.ending(target, context, by="supervisor", grace_s=fault.grace_s) | {"outside": False}
        return how | kept | {"aside": context.mark, "replaced": target.service.restarts == "supervised"}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Have it done. Raises ``UnavailableError`` if the container is gone, or its engine will not."""
        match record["how"]:
            case "kill":
                DRIVER.kill(record, "KILL")
            case "stop":
                DRIVER.stop(record)
            case "restart":
                with asking(record) as client:
                    client.restart(record["container"], timeout=math.ceil(record["grace_s"]))
            case "remove":
                aside.put_aside(record)
            case "pause":
                DRIVER.freeze(record)
            case _:
                network.leave(record)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether it does not run, stands still, or is out of a network, as the engine says."""
        match record["how"]:
            case "pause":
                return DRIVER.frozen(record)
            case "disconnect":
                return network.left(record)
            case "remove":
                return aside.aside(record)
        return DRIVER.down(record)

    def struck(self, record: Record) -> bool:
        """Whether it was done: one that was ended has not run since as it was started then."""
        if record["how"] in ("pause", "disconnect"):
            return self.active(record) is not False
        return DRIVER.ended(record) is not False

    def lasts(self, record: Record) -> bool:
        """One that stands still, or is cut off, is so until that is undone; one that ended may be started."""
        return record["how"] in ("pause", "disconnect")

    def revert(self, record: Record) -> None:
        """Let it go on, have it join its networks again, or see that it runs again."""
        match record["how"]:
            case "pause":
                DRIVER.thaw(record)
            case "disconnect":
                network.join(record)
            case "remove":
                aside.bring_back(record)
            case _:
                DRIVER.start(record)
