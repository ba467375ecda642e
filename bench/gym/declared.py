"""What a planner is told of a simulated system: what discovery and a few words of its owner would give, no more.

Services, kinds, technologies and replicas; who calls whom, as far as some operation was seen to; what an operation
cannot do without by design. Of time-outs and retries next to nothing, as is usual.
"""

from __future__ import annotations

import random

from bench.gym.behaviour import World, needs, usual
from executor.model.probe import Check, DetectionSignal, HttpProbe, Slo
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service, System

NOBODY = 4_194_303
"""A pid that is pinned with a start time that no process can have: these instances are in the simulation only."""
PORT = 20_000
TOLD = 0.1
"""Share of the edges whose time-out and retries are known beforehand."""
SLO_MS = 500.0
_KINDS = {"http": "http", "database": "database", "cache": "cache"}
_PROTOCOLS = {"http": "http", "database": "postgresql", "cache": "redis"}


def declare(world: World, *, seed: int) -> System:
    """The system as Murphy would know it."""
    chance = random.Random(seed)
    port = PORT
    services = []
    paths = {operation.id: usual(operation) for operation in world.operations}
    hard = {name for o in world.operations if o.critical for name in needs(o)}
    near = {name for o in world.operations if o.critical for edge in paths[o.id] for name in edge}
    for name, server in world.servers.items():
        instances = tuple(
            ProcessInstance(id=f"{name}-{n + 1}", pid=NOBODY, start_ticks=1, port=port + n)
            for n in range(server.instances)
        )
        checks = tuple(
            Check(
                id=o.id,
                service=name,
                probe=HttpProbe(url=f"http://127.0.0.1:{port}/{o.id}"),
                slo=Slo(latency_ms_max=SLO_MS),
                rate_hz=o.rate_hz,
                critical=o.critical,
                needs=needs(o),
                exercises=tuple(f"{a}->{b}" for a, b in paths[o.id]),
            )
            for o in world.operations
            if o.service == name
        )
        health = HttpProbe(url=f"http://127.0.0.1:{port}/health", timeout_ms=1000)
        stores = server.kind != "http"
        services.append(
            Service(
                name=name,
                kind=_KINDS[server.kind],
                technology=server.technology,
                instances=instances,
                criticality=3 if name in hard else 2 if name in near else 1,
                operations=checks,
                signals=() if stores else (DetectionSignal(id=f"{name}-health", service=name, probe=health),),
                dsn="env:MURPHY_GYM_DSN" if stores else None,
                disposable=stores,
                restarts="supervised",
            )
        )
        port += max(2, server.instances)
    return System(
        name=world.name,
        services=tuple(services),
        dependencies=tuple(_edge(world, edge, chance) for edge in world.clients),
    )


def _edge(world: World, edge: tuple[str, str], chance: random.Random) -> Dependency:
    caller, callee = edge
    client = world.clients[edge]
    told = chance.random() < TOLD
    return Dependency(
        caller=caller,
        callee=callee,
        protocol=_PROTOCOLS[world.servers[callee].kind],
        interception=ManagedProxy(control="/nonexistent/murphy-gym.sock", edge=f"{caller}->{callee}"),
        timeout_ms=client.timeout_s * 1000 if told and client.timeout_s is not None else None,
        retries=client.retries if told else None,
    )
