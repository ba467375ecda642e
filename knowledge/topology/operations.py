"""A default operation for services whose users nobody has described: whether it answers at all."""

from __future__ import annotations

from collections.abc import Iterator

import anyio

from executor.model.probe import Check, HttpProbe, Probe, Slo, TcpProbe
from executor.model.system import Service, System
from executor.model.vocabulary import ServiceKind
from executor.probes.ask import Client, ask, open_client
from executor.probes.hosts import allowed_hosts

_PATHS = ("/", "/health", "/healthz", "/ready", "/status")
"""Tried in this order, with GET only: it changes nothing in a service that keeps to HTTP."""
_TIMEOUT_MS = 3000.0
_RATE_HZ = 5.0


def with_operations(system: System) -> System:
    """The system where each service of one instance has at least one operation: asks the services that have none.

    Where HTTP is spoken it is the first path that answers 2xx twice, else a TCP connection. A service that does not
    answer gets none, nor does one of several instances: a check asks one address, and would take one dead instance for
    an outage. It is never critical and promises no latency: nobody said so.
    """
    taken = {check.id for service in system.services for check in service.operations}
    found = anyio.run(_found, system)
    services = []
    for service in system.services:
        probe = found.get(service.name)
        name = f"{service.name[:55]}-answers"
        if probe is None or name in taken:
            services.append(service)
            continue
        check = Check(id=name, service=service.name, probe=probe, slo=Slo(), rate_hz=_RATE_HZ)
        fields = {key: getattr(service, key) for key in Service.model_fields}
        services.append(Service(**{**fields, "operations": (check,)}))
    return System(
        name=system.name,
        environment=system.environment,
        services=tuple(services),
        dependencies=system.dependencies,
    )


async def _found(system: System) -> dict[str, Probe]:
    found = {}
    async with open_client(allowed_hosts(system)) as client:
        for service in system.services:
            if service.operations or len(service.instances) != 1 or service.instances[0].port is None:
                continue
            for probe in _candidates(service, service.instances[0].port, system):
                if await _answers(probe, client):
                    found[service.name] = probe
                    break
    return found


def _candidates(service: Service, port: int, system: System) -> Iterator[Probe]:
    """Bytes of HTTP are sent only to who is known to speak it."""
    spoken = {edge.protocol for edge in system.dependencies if edge.callee == service.name}
    if "http" in spoken or service.kind in (ServiceKind.HTTP, ServiceKind.LOAD_BALANCER):
        for path in _PATHS:
            yield HttpProbe(
                url=f"http://127.0.0.1:{port}{path}", expect_status=tuple(range(200, 207)), timeout_ms=_TIMEOUT_MS
            )
    yield TcpProbe(port=port, timeout_ms=_TIMEOUT_MS)


async def _answers(probe: Probe, client: Client) -> bool:
    return all([(await ask(probe, client)).ok for _ in range(2)])
