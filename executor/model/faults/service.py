"""Service layer: an instance dies, hangs or slows; an edge answers wrongly or not at all."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from executor.model.base import Contract, Line, Matching, Milliseconds, Percent, Probability, Seconds, Text
from executor.model.faults.base import BY_REDIRECT, FaultSpec, TargetKind, delayed
from executor.model.vocabulary import FaultType, GrpcStatus, Scope
from executor.model.wording import duration, many, named, number, percent, share
from executor.secrets import body_secret, look_secret

Method = Literal["*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
RestartBy = Literal["supervisor", "murphy"]
RESTART: Final = {
    "supervisor": "if nobody starts it again, Murphy does",
    "murphy": "Murphy starts it again afterwards",
}
_MODES: Final = {
    "refuse": FaultType.REFUSED,
    "blackhole": FaultType.SILENT,
    "error": FaultType.SERVER_ERROR,
}
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_GRPC_SERVER_ERRORS: Final = ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
"""Source: OpenTelemetry semantic conventions for gRPC, "Server": what a server's span counts as its own error."""


class Crash(FaultSpec):
    """The instance ends at once, without cleaning up."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The process dies whole and at a moment of our choosing; a real crash may lose a thread first."
    )
    look: ClassVar[FaultType] = FaultType.DEAD
    kind: Literal["service.crash"] = "service.crash"
    signal: Literal["KILL", "ABRT", "SEGV"] = "KILL"
    restart: RestartBy = "supervisor"
    """Who should start it again. When the fault ends and nobody has, Murphy starts the recorded command line.

    ``murphy``: nobody else is to, and not before the fault ends; if somebody does, the fault ended before its time."""

    def words(self) -> str:
        """What is done."""
        return f"kill it with SIG{self.signal}; {RESTART[self.restart]}"


class Stop(FaultSpec):
    """The instance is asked to end, and ended if it does not in time."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = "Like a deploy or a scale-in, but nothing announced it to the load balancer."
    look: ClassVar[FaultType] = FaultType.STOPPED
    kind: Literal["service.stop"] = "service.stop"
    grace_s: Seconds = 5
    restart: RestartBy = "supervisor"

    def words(self) -> str:
        """What is done."""
        return f"ask it to end, kill it after {duration(self.grace_s)}; {RESTART[self.restart]}"


class Hang(FaultSpec):
    """The instance stands still: connections are accepted by the kernel, nothing is answered."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "SIGSTOP stops all threads; a real hang often leaves some, such as the health check's, alive."
    )
    look: ClassVar[FaultType] = FaultType.SILENT
    kind: Literal["service.hang"] = "service.hang"

    def words(self) -> str:
        """What is done."""
        return "freeze it: connections are accepted, nothing is answered"


class Slowdown(FaultSpec):
    """The instance stands still and goes on by turns, ten times a second."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "It pauses for tens of milliseconds also when it has nothing to compute; a crowded host slows only what"
        " computes, as the quota of resource.cpu_throttle does."
    )
    usual: ClassVar[dict[str, Any]] = {"cpu_percent": 20}
    look: ClassVar[FaultType] = FaultType.SLOW
    kind: Literal["service.slowdown"] = "service.slowdown"
    cpu_percent: Annotated[Percent, Field(ge=1, le=95)]
    """Share of the time in which it runs, on as many cores as it has threads for."""

    def at(self, share: float) -> Self:
        """It runs the longer, the smaller the share is."""
        return self._with(cpu_percent=min(95.0, 100 - share * (100 - self.cpu_percent)))

    def words(self) -> str:
        """What is done."""
        return f"let it run {number(self.cpu_percent)} % of the time, by turns"


class CapacitySearch(Contract):
    """How the largest rate is looked for that an instance carries. No more is ever sent than the fault's own rate."""

    good_within_ms: Annotated[Milliseconds, Field(gt=0, le=10_000)]
    """Latency, from when a request was due, within which its answer is good."""
    good_share: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """How many of the requests must be good for a rate to be carried."""
    start_rps: Annotated[float, Field(ge=1, le=5_000)] = 10
    """The first rate, requests a second."""
    resolution: Annotated[float, Field(ge=0.01, le=0.5)] = 0.05
    """The search ends when what is carried and what is not are so near to each other, as a share."""

    def words(self, most_rps: float) -> str:
        """What is done."""
        promise = f"{percent(self.good_share)} of them within {duration(self.good_within_ms / 1000)}"
        return f"more and more up to {number(most_rps)} a second, to find how many it answers {promise}, and go beyond"


class Overload(FaultSpec):
    """The instance gets more requests than it is used to, on top of its own."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "All requests are the same, come from one address, and go to one instance past its load balancer. What requests"
        " other than GET and HEAD write stays there: it is not undone."
    )
    strength: ClassVar[tuple[str, ...]] = ("rate_rps",)
    usual: ClassVar[dict[str, Any]] = {"rate_rps": 200}
    look: ClassVar[FaultType] = FaultType.SLOW
    kind: Literal["service.overload"] = "service.overload"
    rate_rps: Annotated[float, Field(ge=1, le=5_000)]
    """Requests a second; how many really get there depends on the instance, and on the processor that is left."""
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Requests under way at once, at most."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """One that writes (all but GET and HEAD) is a person's choice: no expert proposes it, and no policy approves it."""
    path: Annotated[str, StringConstraints(pattern=r"^/[\x21-\x7e]{0,1000}$")] = "/"
    """What is asked for."""
    body: Text = ""
    """Sent with each POST, PUT or PATCH, in UTF-8. It is kept with the plan, so it must hold no secret."""
    content_type: Annotated[str, Matching(r"^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$", "plain printable text")] = (
        "application/json"
    )
    """What the body is said to be."""
    search: CapacitySearch | None = None
    """Look for the largest rate that it carries, and what it does beyond that; ``None``: the one rate throughout."""

    @model_validator(mode="after")
    def _carries_what_it_may(self) -> Self:
        if self.search and self.search.start_rps > self.rate_rps:
            raise ValueError(
                f"the search begins at {number(self.search.start_rps)} requests a second, above the fault's own rate"
            )
        if self.body and self.method not in _WITH_BODY:
            raise ValueError(f"a {self.method} has no body; leave it out, or choose {', '.join(_WITH_BODY)}")
        if look_secret((self.path,)) or body_secret(self.body):
            raise ValueError("path or body looks as if it held a secret, which no plan may hold")
        return self

    def at(self, share: float) -> Self | None:
        """A search raises the load itself."""
        return None if self.search else super().at(share)

    def leaves(self) -> str:
        """By the method."""
        return "" if self.method in ("GET", "HEAD") else f"what its {self.method} requests write or remove"

    def words(self) -> str:
        """What is done."""
        method = "" if self.method == "GET" else f"{self.method} "
        stays = f"; {self.leaves()} is not undone" if self.leaves() else ""
        much = f"{number(self.rate_rps)} {method}requests a second for {self.path}"
        if self.search:
            return f"send it {method}requests for {self.path}, {self.search.words(self.rate_rps)}{stays}"
        return f"send it {much}, at most {self.concurrency} at once{stays}"


class RestartLoop(FaultSpec):
    """The instance dies again each time that its supervisor has started it."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = "It is killed from outside; one that crashes at start never gets as far as to serve."
    look: ClassVar[FaultType] = FaultType.DEAD
    kind: Literal["service.restart_loop"] = "service.restart_loop"
    every_s: Annotated[Seconds, Field(ge=0.5, le=60)] = 2
    """Between two kills; one that is not back by then is waited for."""
    times: Annotated[int, Field(ge=2, le=20)] = 5
    """How often it is killed."""

    def words(self) -> str:
        """What is done."""
        return f"kill it {self.times} times, every {duration(self.every_s)}, as its supervisor starts it again"


class HttpMatch(FaultSpec):
    """Which requests on the edge are meant."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    probability: Probability = 1.0
    method: Method = "*"
    path: Line = "*"
    """Glob over the request path, for instance ``/items/*``; of a gRPC call: ``/package.Service/Method``."""

    def looks(self) -> FaultType:
        """One that strikes only some requests is ``intermittent``, whatever it does to them."""
        return FaultType.INTERMITTENT if self.probability < 1 else super().looks()

    def requests(self) -> str:
        """Which requests it strikes, in words."""
        method = "" if self.method == "*" else f"{self.method} "
        path = "" if self.path == "*" else f" to {self.path}"
        return share(self.probability, f"{method}request") + path


class Error(HttpMatch):
    """Requests on the edge are answered with an error, without reaching the callee."""

    differs: ClassVar[str] = (
        "The callee does no work for the failed request; a real error may come after half of it." + BY_REDIRECT
    )
    kind: Literal["service.error"] = "service.error"
    status: Annotated[int, Field(ge=400, le=599)] = 500
    """Of HTTP. A gRPC caller makes one of its own of it: ``UNAVAILABLE`` of 503, ``UNKNOWN`` of 500."""
    grpc_status: GrpcStatus | None = None
    """Instead of ``status``, on an edge that speaks gRPC."""
    grpc_message: Line = "fault injected by murphy"
    """What a gRPC caller is told beside ``grpc_status``."""

    @model_validator(mode="after")
    def _one_status(self) -> Self:
        if self.grpc_status and self.status != type(self).model_fields["status"].default:
            raise ValueError(
                "status and grpc_status exclude each other; leave out the one that the edge does not speak"
            )
        return self

    def looks(self) -> FaultType:
        """By its parameters."""
        if self.probability < 1:
            return FaultType.INTERMITTENT
        its_own = self.grpc_status in _GRPC_SERVER_ERRORS if self.grpc_status else self.status >= 500
        return FaultType.SERVER_ERROR if its_own else FaultType.CLIENT_ERROR

    def words(self) -> str:
        """What is done."""
        return f"answer {self.requests()} with {self.grpc_status or self.status}"


class Timeout(HttpMatch):
    """Requests on the edge are accepted and never answered, or their answers stand still."""

    differs: ClassVar[str] = (
        "The callee never sees the request; a real time-out may follow work that was done. With after_bytes it does the"
        " work and cannot get rid of its answer; whoever still waits when the fault ends is cut off." + BY_REDIRECT
    )
    look: ClassVar[FaultType] = FaultType.SILENT
    kind: Literal["service.timeout"] = "service.timeout"
    after_bytes: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """0: the callee is never asked. Else it is, and its answer stands still after its head and so many bytes of its
    body; one that has no more passes whole. Of gRPC: of its messages; of what is neither: of a connection's answers."""

    def words(self) -> str:
        """What is done."""
        if not self.after_bytes:
            return f"leave {self.requests()} unanswered"
        return f"let the answers to {self.requests()} stand still after {many(self.after_bytes, 'byte')} of their body"


class CorruptResponse(HttpMatch):
    """Answers on the edge arrive damaged."""

    differs: ClassVar[str] = "Damage is put in after the callee answered; its own logs show nothing." + BY_REDIRECT
    look: ClassVar[FaultType] = FaultType.MALFORMED
    kind: Literal["service.corrupt_response"] = "service.corrupt_response"
    how: Literal["truncate", "bit_flip", "empty", "wrong_content_type"] = "truncate"

    def words(self) -> str:
        """What is done."""
        return f"damage ({named(self.how)}) the answers to {self.requests()}"


class DependencyFailure(FaultSpec):
    """One caller loses one dependency; other callers keep it."""

    target_kind: ClassVar[TargetKind] = "edge"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.CALLERS,)
    differs: ClassVar[str] = (
        "Only this caller is hurt; when the dependency itself fails, all its callers are." + BY_REDIRECT
    )
    kind: Literal["service.dependency_failure"] = "service.dependency_failure"
    mode: Literal["refuse", "blackhole", "error", "slow"] = "refuse"
    """``refuse`` resets at once, ``blackhole`` never answers, ``slow`` answers late, ``error`` answers 503, of which a
    gRPC caller makes ``UNAVAILABLE``."""
    delay_ms: Milliseconds = 3_000
    """How late, in mode ``slow``."""

    def at(self, share: float) -> Self | None:
        """Only slowness has degrees."""
        return self._with(delay_ms=self.delay_ms * share) if self.mode == "slow" else None

    def looks(self) -> FaultType:
        """By its parameters."""
        return delayed(self.delay_ms) if self.mode == "slow" else _MODES[self.mode]

    def words(self) -> str:
        """What is done."""
        return {
            "refuse": "refuse every connection",
            "blackhole": "swallow every request without an answer",
            "error": "answer every request with 503",
            "slow": f"delay every request by {duration(self.delay_ms / 1000)}",
        }[self.mode]


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    Crash,
    Stop,
    Hang,
    Slowdown,
    Overload,
    RestartLoop,
    Error,
    Timeout,
    CorruptResponse,
    DependencyFailure,
)
