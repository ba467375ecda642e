"""network.duplicate_reorder: some packets arrive twice, or before those that were sent earlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Networked, able
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import netem, netns

if TYPE_CHECKING:
    from executor.model.faults.network import DuplicateReorder as Spec


class DuplicateReorder:
    """By the kernel's network emulator, which not every kernel has; on the listener's packets alone."""

    kind = "network.duplicate_reorder"
    lease: LeaseKind = "watchdog"
    needs = Networked
    unclaimed = True

    def lacking(self) -> str | None:
        """The kernel's netem, and what netem needs."""
        return netem.unusable()

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """Nobody else may have a queue where its packets leave."""
        try:
            self._look(fault, target)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where its packets pass. Raises ``UnavailableError`` as ``unsupported`` says."""
        return {**self._look(fault, target), "handle": netem.handle_of(context.mark)}

    def _look(self, fault: Spec, target: Resolved) -> dict[str, Any]:
        assert isinstance(target, ResolvedInstance)
        place = able(target, Networked).listening(target)
        return {**place, **netem.reach(place), "emulation": emulation(fault)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Strike the packets. Raises ``UnavailableError`` if the target is gone, or the kernel will not."""
        if netns.of(record["pid"], record["ticks"]) != record["net"]:
            raise UnavailableError(f"process {record['pid']} has moved to another network.")
        netem.put(record)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the queue is there: asked of the kernel. With its network it is gone."""
        try:
            return bool(netem.standing(record["net"], record["handle"]))
        except netns.NamespaceGoneError:
            return False
        except UnavailableError:
            return None

    def revert(self, record: Record) -> None:
        """Take the queue away; packets that wait in it are lost, and sent again where that is a stream's."""
        netem.remove(record["net"], record["handle"])


def emulation(fault: Spec) -> str:
    """What netem is asked for. Packets can only be overtaken where the others are late."""
    late = f"delay {fault.delay_ms:g}ms reorder {fault.reorder_percent:g}% " if fault.reorder_percent else ""
    return f"{late}duplicate {fault.duplicate_percent:g}%"
