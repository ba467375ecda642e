"""The system that the corpus speaks of, as Murphy would know it."""

from __future__ import annotations

from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind

_SERVICES = (
    ("gateway", ServiceKind.HTTP, "nginx"),
    ("haproxy", ServiceKind.LOAD_BALANCER, "haproxy"),
    ("booking", ServiceKind.HTTP, "flask"),
    ("seatmap", ServiceKind.GRPC, "go"),
    ("pricing", ServiceKind.GRPC, "java"),
    ("payments", ServiceKind.HTTP, "flask"),
    ("fraud", ServiceKind.HTTP, "fastapi"),
    ("cardano", ServiceKind.EXTERNAL, ""),
    ("search", ServiceKind.HTTP, "elasticsearch"),
    ("loyalty", ServiceKind.HTTP, "java"),
    ("account", ServiceKind.HTTP, "django"),
    ("postgres", ServiceKind.DATABASE, "postgresql"),
    ("redis", ServiceKind.CACHE, "redis"),
    ("rabbitmq", ServiceKind.QUEUE, "rabbitmq"),
)
_CALLS = (
    "gateway->haproxy haproxy->booking gateway->booking gateway->search gateway->account gateway->loyalty "
    "booking->seatmap booking->payments booking->postgres booking->rabbitmq seatmap->pricing seatmap->postgres "
    "payments->cardano payments->fraud account->postgres gateway->redis"
)
_PROTOCOLS = {"postgres": "postgresql", "redis": "redis", "rabbitmq": "amqp", "seatmap": "grpc", "pricing": "grpc"}


def ferry() -> System:
    """Services and edges; nothing of it runs."""
    return System(
        name="ferry",
        services=tuple(
            Service(
                name=name,
                kind=kind,
                technology=technology or None,
                instances=(ProcessInstance(id=f"{name}-1", command=name),),
            )
            for name, kind, technology in _SERVICES
        ),
        dependencies=tuple(
            Dependency.model_validate({"caller": a, "callee": b, "protocol": _PROTOCOLS.get(b, "http")})
            for a, _, b in (call.partition("->") for call in _CALLS.split())
        ),
    )
