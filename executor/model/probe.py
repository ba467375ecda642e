"""How a thing is asked whether it works: parameters only; the asking is in ``executor/probes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self, Union
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, StringConstraints, model_validator

from executor.model.base import Contract, Line, Milliseconds, Name, Port
from executor.plugins import added, unfit
from executor.secrets import named_secret

READING = ("GET", "HEAD")
"""Methods that change nothing, by their definition (RFC 9110, 9.2.1); what a server makes of them, nobody can tell."""


class HttpProbe(Contract):
    """One HTTP request and what its answer must be to count as good."""

    kind: Literal["http"] = "http"
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)]
    """Absolute address; its host must be one the system names."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    json_body: str | None = None
    """Body sent as ``application/json``, already serialised."""
    expect_status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = (200,)
    """Statuses that count as good."""
    expect_text: Line | None = None
    """Text that a good answer's body contains; ``None``: any body."""
    expect_no_text: Annotated[Line | None, Field(exclude_if=lambda text: text is None)] = None
    """Text that a good answer's body does not contain, as of a list of alerts in which none should be; ``None``: none
    is bad. Left out of the written form, and so of digests, where there is none."""
    answered_by: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")] | None = None
    """Header that names who gave the answer (``X-Served-By``), as a service or its load balancer sets it; ``None``:
    none does."""
    timeout_ms: Annotated[Milliseconds, Field(gt=0)] = 10_000
    """After this the answer counts as failed; generous, so that slow is seen as slow and not as dead."""

    @property
    def asks_for(self) -> str:
        """The address without scheme and host: path and query, as in the request's first line."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @model_validator(mode="after")
    def _carries_no_secret(self) -> Self:
        authority = self.url.split("://", 1)[1].split("/")[0].split("?")[0].split("#")[0]
        if "@" in authority:
            raise ValueError("an address with a user or password in it would be kept, shown and sent to models")
        if any(named_secret(name) for name, _ in parse_qsl(urlsplit(self.url).query, keep_blank_values=True)):
            raise ValueError("an address with a secret among its parameters would be kept, shown and sent to models")
        header = self.answered_by or ""
        if named_secret(header) or "cookie" in header.lower():
            raise ValueError(f"what {header} holds is a secret, and who answered is kept and shown")
        return self


class TcpProbe(Contract):
    """A connection that must be accepted."""

    kind: Literal["tcp"] = "tcp"
    host: Line = "127.0.0.1"
    port: Port
    timeout_ms: Annotated[Milliseconds, Field(gt=0)] = 2_000


class ProbeSpec(Contract):
    """What a probe of another package is made from (``executor.plugins``); its class says how it is asked, too."""

    timeout_ms: Annotated[Milliseconds, Field(gt=0)] = 2_000

    if TYPE_CHECKING:
        kind: str
        """Each class gives its own as a literal."""

    @property
    def host(self) -> str:
        """The host that it reaches; it must be loopback or one that the system names."""
        raise NotImplementedError

    @property
    def port(self) -> int | None:
        """The TCP port that it asks, where there is one: it tells which service stands there."""
        return None

    async def ask(self) -> tuple[bool, int | None, str]:
        """Ask once: whether the answer was good, its status if it has one, and what was wrong; raises nothing."""
        raise NotImplementedError


def _added() -> tuple[type[ProbeSpec], ...]:
    """Raises ``InputError`` for what is no probe of the kind that it is called."""
    found = added("probes")
    for name, probe in found.items():
        if not (issubclass(probe, ProbeSpec) and probe.model_fields["kind"].default == name):
            raise unfit(name, "ProbeSpec")
    return tuple(found.values())


if TYPE_CHECKING:
    Probe = HttpProbe | TcpProbe | ProbeSpec
else:
    Probe = Annotated[Union[HttpProbe, TcpProbe, *_added()], Field(discriminator="kind")]
"""Any probe, told apart by ``kind``."""


class Slo(Contract):
    """What users were promised of one operation."""

    availability_min: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Least share of good answers, 0–1."""
    latency_ms_max: Milliseconds | None = None
    """Bound on the 95th percentile of the time to answer; ``None``: none promised."""


class Check(Contract):
    """A probe repeated at a fixed rate, with the steady state it must show. Open loop: slow answers delay none."""

    id: Name
    service: Name
    """The service whose users this check stands for."""
    probe: Probe
    slo: Slo = Slo()
    rate_hz: Annotated[float, Field(gt=0, le=200)] = 10
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1
    """How often users do this, compared with the other operations; all the same where nobody says otherwise."""
    critical: bool = False
    """Whether users lose what they came for when this fails."""
    needs: tuple[Name, ...] | None = None
    """Services without which it cannot work, by design; others it reaches should be soft. ``None``: not said."""
    exercises: tuple[Line, ...] | None = None
    """Edges (``caller->callee``) seen to carry calls when this is asked. ``None``: not looked at."""
    tables: tuple[Line, ...] = ()
    """Database tables that it touches, as far as its owner says; keeps a lock on another table from being blamed."""


class DetectionSignal(Contract):
    """How the system itself says that a service is unwell. Murphy's own checks never count as detection."""

    id: Name
    service: Name
    """The service whose failure this signal should report."""
    probe: Probe
    """Good means the system reports the service well; not good means it has detected a failure."""
    instance: Name | None = None
    """The one instance that it speaks of, where a registry or a load balancer tells who is in its list or rotation:
    good means that this one is. ``None``: it speaks of the service."""
