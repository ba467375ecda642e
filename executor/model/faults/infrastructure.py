"""Infrastructure layer: what services stand on is taken away: containers, machines, balancers, storage, credentials."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from executor.model.base import Line
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.vocabulary import FaultType

_VM: Final = {
    "stop": (FaultType.DEAD, "cut its power, and start it again afterwards"),
    "pause": (FaultType.SILENT, "freeze it whole"),
    "reset": (FaultType.DEAD, "reset it"),
    "isolate": (FaultType.SILENT, "cut it off from the network"),
    "detach_nic": (FaultType.SILENT, "take a network card from it"),
    "detach_disk": (FaultType.SERVER_ERROR, "take a disk from it"),
}


class Vm(FaultSpec):
    """A virtual machine stops, stands still, starts anew, is cut off, or loses a disk or a network card."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "The machine's host stays well, and the machine comes back to the same one; connections that are open already "
        "may outlive an isolation in Amazon's cloud."
    )
    usual: ClassVar[dict[str, Any]] = {"how": "stop"}
    kind: Literal["infrastructure.vm"] = "infrastructure.vm"
    how: Literal["stop", "pause", "reset", "isolate", "detach_nic", "detach_disk"]
    device: Line = ""
    """Which card or disk, as the machine's own manager calls it; empty: the only one that can be taken."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return _VM[self.how][0]

    def words(self) -> str:
        """What is done."""
        return _VM[self.how][1] + (f" ({self.device})" if self.device else "")


SPECS: Final[tuple[type[FaultSpec], ...]] = (Vm,)
