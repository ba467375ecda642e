"""What must be true under a fault for a hypothesis to hold. Pure data; judged in ``executor/measure/criteria``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from executor.model.base import Contract, Milliseconds, Name, Seconds
from executor.model.vocabulary import Phase


class SteadyState(Contract):
    """The named checks keep at least this availability (and latency) through a phase."""

    kind: Literal["steady_state"] = "steady_state"
    checks: Annotated[tuple[Name, ...], Field(min_length=1)]
    phase: Phase = Phase.FAULT
    after_s: Seconds = 0
    """The first seconds of the phase that do not count: time allowed for detection and fail-over."""
    availability_min: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Least share of good answers, 0–1."""
    latency_ms_max: Milliseconds | None = None
    """Bound on the 95th percentile, if latency is meant too."""
    provided: tuple[Name, ...] = ()
    """Checks that keep this availability themselves, or it is inconclusive: what they stand for failed first."""


class BoundedLatency(Contract):
    """Answers of the named checks, good or bad, come within a limit during the fault: nobody waits without end."""

    kind: Literal["bounded_latency"] = "bounded_latency"
    checks: Annotated[tuple[Name, ...], Field(min_length=1)]
    limit_ms: Annotated[Milliseconds, Field(gt=0)]
    """At least 90 % of answers come within this."""


class CallsWithin(Contract):
    """While the edge is at fault, the caller sends it at most so many calls for each call it sent when all was well."""

    kind: Literal["calls_within"] = "calls_within"
    caller: Name
    callee: Name
    factor_max: Annotated[float, Field(gt=0, le=1000)]
    """Calls arriving per second under fault ÷ in the baseline. Above 1 bounds retries; below 1 asks for a breaker."""


class RecoversWithin(Contract):
    """Once the fault is gone (or, for a crash, from its start), the named checks are back in steady state in time."""

    kind: Literal["recovers_within"] = "recovers_within"
    checks: Annotated[tuple[Name, ...], Field(min_length=1)]
    within_s: Annotated[Seconds, Field(gt=0)]
    since: Literal["reverted", "injected"] = "reverted"
    of: Literal["all", "any"] = "all"
    """``any``: one check that felt the fault and is back is enough. For checks that reach what was struck through
    others: what stays broken may be held up by one of those."""


class DetectedWithin(Contract):
    """The system's own signal reports the failure in time."""

    kind: Literal["detected_within"] = "detected_within"
    signal: Name
    within_s: Annotated[Seconds, Field(gt=0)]


class DataKept(Contract):
    """What was acknowledged is there after recovery, once each, and the data agrees with itself."""

    kind: Literal["data_kept"] = "data_kept"
    data_check: Name


class BeyondCapacity(Contract):
    """Under more load than it can carry, the instance goes on serving what it can, and comes back after it.

    Judged from the search of an action that has one.
    """

    kind: Literal["beyond_capacity"] = "beyond_capacity"
    action: Name
    at_least_rps: Annotated[float, Field(gt=0)] | None = None
    """It must carry this rate, requests a second, in the first place; ``None``: none was promised."""


Criterion = Annotated[
    SteadyState | BoundedLatency | CallsWithin | RecoversWithin | DetectedWithin | DataKept | BeyondCapacity,
    Field(discriminator="kind"),
]
