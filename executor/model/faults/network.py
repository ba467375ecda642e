"""Network layer: what happens to bytes and connections between services."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from executor.model.base import Line, Milliseconds, Percent, Probability
from executor.model.faults.base import BY_REDIRECT, FaultSpec, TargetKind, delayed
from executor.model.vocabulary import FaultType, Scope
from executor.model.wording import duration, many, number, share


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


Address = Annotated[str, AfterValidator(_address)]
"""A numeric address, IPv4 or IPv6."""
TOTAL_PERCENT: Final = 90.0
"""From this share of lost packets on, hardly any connection comes about."""


_SPREAD: Final = {
    "uniform": " ± {}",
    "normal": ", normally spread by {}",
    "pareto": " and more, {} on average, with a long tail",
}


class Latency(FaultSpec):
    """Each request (or, on an edge that is not HTTP, each burst of bytes) arrives late."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "Delay is added per request by a proxy, not per packet: handshakes and slow start are not slower." + BY_REDIRECT
    )
    strength: ClassVar[tuple[str, ...]] = ("delay_ms", "jitter_ms")
    usual: ClassVar[dict[str, Any]] = {"delay_ms": 3000}
    kind: Literal["network.latency"] = "network.latency"
    delay_ms: Annotated[Milliseconds, Field(gt=0)]
    jitter_ms: Milliseconds = 0
    """How much delays differ, by ``distribution``."""
    distribution: Literal["uniform", "normal", "pareto"] = "uniform"
    """``uniform``: evenly over ``delay_ms`` ± ``jitter_ms``. ``normal``: ``jitter_ms`` is the standard deviation.
    ``pareto``: never less than ``delay_ms`` and ``jitter_ms`` more on average, with a long tail."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return delayed(self.delay_ms)

    def words(self) -> str:
        """What is done."""
        spread = _SPREAD[self.distribution].format(duration(self.jitter_ms / 1000)) if self.jitter_ms else ""
        return f"delay each request by {duration(self.delay_ms / 1000)}{spread}"


class Reset(FaultSpec):
    """Connections on the edge are cut with a TCP reset."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = "Both sides see the reset at once; a real network may tell only one of them." + BY_REDIRECT
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    kind: Literal["network.reset"] = "network.reset"
    probability: Probability = 1.0
    """Chance for each request (HTTP), call (gRPC; all calls of its connection go with it) or connection (others)."""
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
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "Only edges known to the system are cut; unknown traffic between the groups still flows." + BY_REDIRECT
    )
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
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
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
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
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


class Bandwidth(FaultSpec):
    """What the caller and the callee send each other goes through a narrow line."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "The caller's connections share the line, and nobody else's are on it. What waits is held back by the proxy, "
        "beyond some hundred KiB in its buffers, and never dropped; handshakes are not slower." + BY_REDIRECT
    )
    usual: ClassVar[dict[str, Any]] = {"rate_kbps": 256}
    look: ClassVar[FaultType] = FaultType.SLUGGISH
    kind: Literal["network.bandwidth"] = "network.bandwidth"
    rate_kbps: Annotated[float, Field(ge=1, le=10_000_000)]
    """Thousand bits a second each way, without the overhead of packets."""
    burst_bytes: Annotated[int, Field(ge=0, le=10_000_000)] = 4096
    """So many pass at once after a pause."""
    direction: Literal["both", "calls", "answers"] = "both"

    def words(self) -> str:
        """What is done."""
        what = {"both": "calls and answers", "calls": "calls", "answers": "answers"}[self.direction]
        return f"let {what} through at {number(self.rate_kbps)} kbit/s"


class Corruption(FaultSpec):
    """Bits of what the caller and the callee send each other are flipped."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "Flipped bits arrive, as they would where checksums fail to find them; on a real line most are found, and the "
        "packet is sent again. Handshakes are not damaged." + BY_REDIRECT
    )
    strength: ClassVar[tuple[str, ...]] = ("percent",)
    usual: ClassVar[dict[str, Any]] = {"percent": 20}
    look: ClassVar[FaultType] = FaultType.MALFORMED
    kind: Literal["network.corruption"] = "network.corruption"
    percent: Annotated[Percent, Field(ge=0.01)]
    """Of the segments, which are 1,460 bytes or what is left of what was sent; in each one bit is flipped."""
    direction: Literal["both", "calls", "answers"] = "both"

    def words(self) -> str:
        """What is done."""
        what = {"both": "calls and answers", "calls": "calls", "answers": "answers"}[self.direction]
        return f"flip a bit in {number(self.percent)} % of the segments of {what}"


class Dns(FaultSpec):
    """Names that the instance looks up are answered wrongly, late or not at all."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Look-ups by datagrams to the named servers are struck; those over TCP or HTTPS, and names that the instance "
        "or its machine has in a cache, are not."
    )
    kind: Literal["network.dns"] = "network.dns"
    mode: Literal["nxdomain", "servfail", "timeout", "slow", "wrong_address"] = "servfail"
    names: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100)] = ("*",)
    """Globs over the names that are meant, without a dot at the end."""
    delay_ms: Annotated[Milliseconds, Field(gt=0)] = 3000
    """For ``slow``."""
    address: Address = "192.0.2.1"
    """For ``wrong_address``. The usual one is kept for examples, and nobody is there."""
    resolvers: Annotated[tuple[Address, ...], Field(max_length=8)] = ()
    """Addresses of the servers that it asks; none: those in its ``/etc/resolv.conf``."""

    def looks(self) -> FaultType:
        """Of ``FaultType`` what it does to calls to others: they fail at once, late, or where nobody answers."""
        if self.mode == "slow":
            return delayed(self.delay_ms)
        return FaultType.UNRESOLVED

    def words(self) -> str:
        """What is done."""
        which = "its look-ups" if self.names == ("*",) else f"its look-ups of {', '.join(self.names)}"
        return {
            "nxdomain": f"say that the names do not exist to {which}",
            "servfail": f"let {which} fail",
            "timeout": f"leave {which} without an answer",
            "slow": f"delay {which} by {duration(self.delay_ms / 1000)}",
            "wrong_address": f"answer {which} with {self.address}",
        }[self.mode]


class Saturation(FaultSpec):
    """Datagrams that nobody asked for fill the way to the instance."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.NETWORK,)
    differs: ClassVar[str] = (
        "They come from this machine, so only what lies between it and the instance is filled. A way within one "
        "machine has no width of its own: there they cost processor time and nothing else."
    )
    strength: ClassVar[tuple[str, ...]] = ("rate_mbps",)
    usual: ClassVar[dict[str, Any]] = {"rate_mbps": 100}
    look: ClassVar[FaultType] = FaultType.SLUGGISH
    kind: Literal["network.saturation"] = "network.saturation"
    rate_mbps: Annotated[float, Field(ge=0.1, le=1000)]
    """Million bits a second, with the headers of IP and UDP."""
    packet_bytes: Annotated[int, Field(ge=64, le=1500)] = 1200
    """Size of each, with these headers."""

    def words(self) -> str:
        """What is done."""
        return f"send it {number(self.rate_mbps)} Mbit/s of datagrams that nobody reads"


class DuplicateReorder(FaultSpec):
    """Some of the instance's packets arrive twice, or before those that were sent earlier."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Within one machine both ways are struck; of what goes to and from other machines only what the instance sends."
    )
    strength: ClassVar[tuple[str, ...]] = ("duplicate_percent", "reorder_percent")
    look: ClassVar[FaultType] = FaultType.SLUGGISH
    kind: Literal["network.duplicate_reorder"] = "network.duplicate_reorder"
    duplicate_percent: Percent = 10
    """Of the packets; the second follows the first."""
    reorder_percent: Percent = 10
    """Of the packets; they go at once, and the others late."""
    delay_ms: Annotated[Milliseconds, Field(gt=0, le=10_000)] = 20
    """How late, where there is anything to reorder."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.duplicate_percent and not self.reorder_percent:
            raise ValueError("duplicate_percent or reorder_percent must be above 0")
        return self

    def words(self) -> str:
        """What is done."""
        twice = f"send {number(self.duplicate_percent)} % of its packets twice" if self.duplicate_percent else ""
        before = f"let {number(self.reorder_percent)} % overtake the others by {duration(self.delay_ms / 1000)}"
        return " and ".join(filter(None, (twice, before if self.reorder_percent else "")))


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    Latency,
    Reset,
    Partition,
    Loss,
    ConnectionLimit,
    Bandwidth,
    Corruption,
    Dns,
    Saturation,
    DuplicateReorder,
)
