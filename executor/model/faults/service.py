"""Service layer: an instance dies, hangs or slows; an edge answers wrongly or not at all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from executor.model.base import Line, Milliseconds, Percent, Probability, Seconds
from executor.model.faults.base import FaultSpec, TargetKind

Method = Literal["*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
RestartBy = Literal["supervisor", "murphy"]


class Crash(FaultSpec):
    """The instance ends at once, without cleaning up."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "The process dies whole and at a moment of our choosing; a real crash may lose a thread first."
    )
    kind: Literal["service.crash"] = "service.crash"
    signal: Literal["KILL", "ABRT", "SEGV"] = "KILL"
    restart: RestartBy = "supervisor"
    """Who should start it again. When the fault ends and nobody has, Murphy starts the recorded command line."""


class Stop(FaultSpec):
    """The instance is asked to end, and ended if it does not in time."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = "Like a deploy or a scale-in, but nothing announced it to the load balancer."
    kind: Literal["service.stop"] = "service.stop"
    grace_s: Seconds = 5
    restart: RestartBy = "supervisor"


class Hang(FaultSpec):
    """The instance stands still: connections are accepted by the kernel, nothing is answered."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "SIGSTOP stops all threads; a real hang often leaves some, such as the health check's, alive."
    )
    kind: Literal["service.hang"] = "service.hang"


class Slowdown(FaultSpec):
    """The instance gets only a share of the processor."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "Without a cgroup it is stopped and continued in turn, which adds pauses of tens of milliseconds."
    )
    kind: Literal["service.slowdown"] = "service.slowdown"
    cpu_percent: Annotated[Percent, Field(ge=1, le=95)]
    """Share of one core that it keeps."""

    def at(self, share: float) -> Self:
        """It keeps more of the core, the smaller the share is."""
        return self._with(cpu_percent=min(95.0, 100 - share * (100 - self.cpu_percent)))


class HttpMatch(FaultSpec):
    """Which requests on the edge are meant."""

    target_kind: ClassVar[TargetKind] = "edge"
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    probability: Probability = 1.0
    method: Method = "*"
    path: Line = "*"
    """Glob over the request path, for instance ``/items/*``."""


class Error(HttpMatch):
    """Requests on the edge are answered with an error, without reaching the callee."""

    differs: ClassVar[str] = "The callee does no work for the failed request; a real error may come after half of it."
    kind: Literal["service.error"] = "service.error"
    status: Annotated[int, Field(ge=400, le=599)] = 500


class Timeout(HttpMatch):
    """Requests on the edge are accepted and never answered."""

    differs: ClassVar[str] = "The callee never sees the request; a real time-out may follow work that was done."
    kind: Literal["service.timeout"] = "service.timeout"


class CorruptResponse(HttpMatch):
    """Answers on the edge arrive damaged."""

    differs: ClassVar[str] = "Damage is put in after the callee answered; its own logs show nothing."
    kind: Literal["service.corrupt_response"] = "service.corrupt_response"
    how: Literal["truncate", "bit_flip", "empty", "wrong_content_type"] = "truncate"


class DependencyFailure(FaultSpec):
    """One caller loses one dependency; other callers keep it."""

    target_kind: ClassVar[TargetKind] = "edge"
    differs: ClassVar[str] = "Only this caller is hurt; when the dependency itself fails, all its callers are."
    kind: Literal["service.dependency_failure"] = "service.dependency_failure"
    mode: Literal["refuse", "blackhole", "error", "slow"] = "refuse"
    """``refuse`` resets at once, ``blackhole`` never answers, ``error`` answers 503, ``slow`` answers late."""
    delay_ms: Milliseconds = 3_000
    """How late, in mode ``slow``."""

    def at(self, share: float) -> Self | None:
        """Only slowness has degrees."""
        return self._with(delay_ms=self.delay_ms * share) if self.mode == "slow" else None
