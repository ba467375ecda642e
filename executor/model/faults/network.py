"""Network layer: what happens to bytes and connections between services."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from executor.model.base import Milliseconds, Percent, Probability
from executor.model.faults.base import FaultSpec, TargetKind, delayed
from executor.model.vocabulary import FaultType
from executor.model.wording import duration, many, number, share

TOTAL_PERCENT: Final = 90.0
"""From this share of lost packets on, hardly any connection comes about."""


class Latency(FaultSpec):
    """Each request (or, on an edge that is not HTTP, each burst of bytes) arrives late."""

    target_kind: ClassVar[TargetKind] = "edge"
    differs: ClassVar[str] = (
        "Delay is added per request by a proxy, not per packet: handshakes and slow start are not slower."
    )
    strength: ClassVar[tuple[str, ...]] = ("delay_ms", "jitter_ms")
    usual: ClassVar[dict[str, Any]] = {"delay_ms": 3000}
    kind: Literal["network.latency"] = "network.latency"
    delay_ms: Annotated[Milliseconds, Field(gt=0)]
    jitter_ms: Milliseconds = 0
    """Half-width of the uniform spread around ``delay_ms``."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return delayed(self.delay_ms)

    def words(self) -> str:
        """What is done."""
        spread = f" ± {duration(self.jitter_ms / 1000)}" if self.jitter_ms else ""
        return f"delay each request by {duration(self.delay_ms / 1000)}{spread}"


class Reset(FaultSpec):
    """Connections on the edge are cut with a TCP reset."""

    target_kind: ClassVar[TargetKind] = "edge"
    differs: ClassVar[str] = "Both sides see the reset at once; a real network may tell only one of them."
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    kind: Literal["network.reset"] = "network.reset"
    probability: Probability = 1.0
    """Chance for each request (HTTP) or connection (other protocols)."""
    after_bytes: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Bytes of the answer let through first."""

    def looks(self) -> FaultType:
        """By its parameters."""
        if self.probability < 1:
            return FaultType.INTERMITTENT
        return FaultType.MALFORMED if self.after_bytes else FaultType.REFUSED

    def words(self) -> str:
        """What is done."""
        after = f" after {self.after_bytes} bytes" if self.after_bytes else ""
        return f"cut {share(self.probability, 'connection')}{after}"


class Partition(FaultSpec):
    """Two groups of services cannot reach each other, or only one way."""

    target_kind: ClassVar[TargetKind] = "groups"
    differs: ClassVar[str] = "Only edges known to the system are cut; unknown traffic between the groups still flows."
    kind: Literal["network.partition"] = "network.partition"
    direction: Literal["both", "a_to_b"] = "both"
    how: Literal["drop", "reject"] = "drop"
    """``drop``: nothing comes back; ``reject``: refused at once."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.SILENT if self.how == "drop" else FaultType.REFUSED

    def words(self) -> str:
        """What is done."""
        return f"{self.how} everything {'both ways' if self.direction == 'both' else 'one way'}"


class Loss(FaultSpec):
    """Some of the packets to or from the instance's port never arrive."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "Every caller of the port loses packets. Where sender and network card hand on bytes in bigger pieces than go "
        "over a wire, up to 64 KiB are lost at once."
    )
    strength: ClassVar[tuple[str, ...]] = ("percent",)
    usual: ClassVar[dict[str, Any]] = {"percent": 20}
    kind: Literal["network.loss"] = "network.loss"
    percent: Annotated[Percent, Field(ge=0.01)]
    """Of the packets in each direction that is meant, each by its own throw."""
    direction: Literal["both", "in", "out"] = "both"
    """``in``: to the instance; ``out``: from it."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.SILENT if self.percent >= TOTAL_PERCENT else FaultType.SLUGGISH

    def words(self) -> str:
        """What is done."""
        where = {"both": "to and from it", "in": "to it", "out": "from it"}[self.direction]
        return f"lose {number(self.percent)} % of the packets {where}"


class ConnectionLimit(FaultSpec):
    """The instance's port takes only so many connections at once."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "Connections that were open before are neither cut nor counted; the instance itself never learns of a caller "
        "that was turned away."
    )
    usual: ClassVar[dict[str, Any]] = {"max": 5}
    look: ClassVar[FaultType] = FaultType.INTERMITTENT
    kind: Literal["network.connection_limit"] = "network.connection_limit"
    max: Annotated[int, Field(ge=1, le=100_000)]
    how: Literal["reject", "drop"] = "reject"
    """What becomes of one too many. ``reject``: refused at once; ``drop``: nothing comes back."""

    def words(self) -> str:
        """What is done."""
        return f"{self.how} whatever would be more than {many(self.max, 'new connection')} at once"


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    Latency,
    Reset,
    Partition,
    Loss,
    ConnectionLimit,
)
