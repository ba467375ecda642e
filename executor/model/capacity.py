"""What an instance can carry, and what it does beyond that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from executor.model.base import Contract, Line, Name


class Estimated(Contract):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class CapacityLevel(Contract):
    """One rate that was offered, requests a second, and what came of it."""

    offered_rps: float
    goodput_rps: float
    """Answered well and soon enough."""
    outcome: Literal["stable", "violated", "undecided", "unreachable"]
    """``unreachable``: this machine could not generate it."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    concurrency: float | None
    """Requests under way, on average."""
    n: Annotated[int, Field(ge=0)]
    """Requests due."""


class Capacity(Contract):
    """Of one instance. Too little data gives ``inconclusive``, never a number."""

    action: Name
    instance: Line
    good_within_ms: float
    good_share: float
    limit_rps: float
    """No more was sent."""
    maximum: Literal["found", "at_least", "below", "inconclusive"]
    """``found``: the largest rate that is carried lies between the two; ``at_least``, ``below``: only one is known."""
    low_rps: float | None
    """The largest rate that was seen to be carried."""
    high_rps: float | None
    """The smallest that was seen not to be."""
    confidence: float
    """At least so likely that no rate was judged wrongly."""
    why: Line
    knee: Estimated | None
    """The rate from which on latency rises more steeply."""
    knee_why: Line
    """Which method decided, and how sure it is."""
    beyond_rps: float | None
    """The rate farthest beyond the largest that is carried; ``None``: none that is far beyond it was tried."""
    beyond: Estimated | None
    """What is still served there, as a share of the most that is ever served."""
    cliff: Literal["collapse", "saturation", "none", "inconclusive"]
    """``collapse``: beyond it more load gives less goodput; ``saturation``: it gives no more than a little."""
    cliff_at_rps: float | None
    """The last rate before the drop."""
    cliff_why: Line
    scaling: Literal["linear", "sub-linear", "retrograde", "inconclusive"]
    """By the Universal Scalability Law."""
    alone_rps: Estimated | None
    """γ, throughput of one request under way, requests a second."""
    contention: Estimated | None
    """σ, the share of the work that only one can do at a time, 0–1."""
    coherency: Estimated | None
    """κ, what each pair costs each other."""
    peak_concurrency: float | None
    """Where throughput is largest; ``None``: it rises for ever, or nothing could be concluded."""
    scaling_why: Line
    saturated: Literal["cpu", "memory", "descriptors", "pool", "unknown"]
    saturated_why: Line
    failure: Literal["none", "latency collapse", "errors", "refusal", "crash", "out of memory", "hang", "inconclusive"]
    """How it fails when it gets more than it can carry."""
    failure_why: Line
    after: Literal["recovers", "metastable", "inconclusive"]
    """What becomes of it once an overload is over and the usual load goes on."""
    after_why: Line
    recovery_s: Estimated | None
    levels: tuple[CapacityLevel, ...]
    """By rate."""
