"""Resource layer: processor, memory, connections run short."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from executor.model.base import Percent
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.vocabulary import FaultType
from executor.model.wording import many, number


class Cpu(FaultSpec):
    """A burner competes with the instance for its processors."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = "Without a cgroup of its own the whole host competes, not the target alone."
    strength: ClassVar[tuple[str, ...]] = ("load_percent",)
    usual: ClassVar[dict[str, Any]] = {"load_percent": 90}
    look: ClassVar[FaultType] = FaultType.STARVED_CPU
    kind: Literal["resource.cpu"] = "resource.cpu"
    load_percent: Annotated[Percent, Field(ge=1)]
    """Load of each burnt core."""
    cores: Annotated[int, Field(ge=1, le=256)] = 1

    def words(self) -> str:
        """What is done."""
        return f"burn {number(self.load_percent)} % of {many(self.cores, 'core')} beside it"


class Memory(FaultSpec):
    """An allocator takes memory on the instance's host, or in its cgroup where it has one of its own."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "The memory is another process's: the target feels pressure, but its own heap does not grow."
    )
    strength: ClassVar[tuple[str, ...]] = ("bytes",)
    usual: ClassVar[dict[str, Any]] = {"bytes": 256 * 2**20}
    look: ClassVar[FaultType] = FaultType.STARVED_MEMORY
    kind: Literal["resource.memory"] = "resource.memory"
    bytes: Annotated[int, Field(ge=1_048_576, le=1_099_511_627_776)]
    grow_bytes_per_s: Annotated[int, Field(ge=0)] = 0
    """0 takes all at once and holds; else it grows to ``bytes`` at this rate."""

    def words(self) -> str:
        """What is done."""
        return f"take {self.bytes / 2**20:,.0f} MiB of memory beside it"


class Connections(FaultSpec):
    """Idle connections are held open to the instance's port."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = "All connections come from one address and send nothing."
    strength: ClassVar[tuple[str, ...]] = ("count",)
    usual: ClassVar[dict[str, Any]] = {"count": 50}
    look: ClassVar[FaultType] = FaultType.CONNECTIONS_TAKEN
    kind: Literal["resource.connections"] = "resource.connections"
    count: Annotated[int, Field(ge=1, le=20_000)]

    def words(self) -> str:
        """What is done."""
        return f"hold {self.count} idle connections open to it"


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    Cpu,
    Memory,
    Connections,
)
