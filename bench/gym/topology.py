"""Clean systems: services in layers, their stores, what users ask of them; by seed, without any weakness.

Time-outs shrink from the users inwards, whatever a critical operation cannot do without is there twice, and some edges
are declared that no operation uses.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.gym.behaviour import FAST, Client, Operation, Server, Step, World, needs, uses

STACKS = ("flask", "fastapi", "express", "go", "spring", "rails")
"""What services are written with; a family uses three of them."""
TIMEOUTS_S = {0: 1.2, 1: 0.6, 2: 0.3}
"""By the depth of the caller: users' own first."""
STORE_S = 0.3
RETRIES = 2
"""On what fails at once, where a critical operation depends on it."""
IDLE = 0.05
"""Edges that nobody uses, for each one that somebody does."""


@dataclass(frozen=True)
class _Part:
    """A service with all that it may call."""

    name: str
    steps: tuple[Step, ...]


def stacks_of(family: int) -> tuple[str, ...]:
    """What the services of a family are written with."""
    return tuple(random.Random(f"stacks {family}").sample(STACKS, 3))


def clean(name: str, *, services: int, seed: int, stacks: Sequence[str] = STACKS[:3]) -> World:
    """A system of that many services (at least 10)."""
    chance = random.Random(seed)
    counts = {"web": max(2, services // 12), "db": max(1, services // 10), "cache": max(1, services // 12)}
    rest = services - sum(counts.values())
    counts |= {"app": rest * 4 // 7, "lib": rest - rest * 4 // 7}
    names = {layer: [f"{layer}-{n + 1:02}" for n in range(count)] for layer, count in counts.items()}
    libs = [_Part(each, _library(chance, names)) for each in names["lib"]]
    apps = [_Part(each, _application(chance, libs, names)) for each in names["app"]]
    operations = [*_of_webs(chance, names["web"], apps), *_of_apps(chance, apps)]
    servers = _servers(chance, names, operations, stacks)
    clients = _clients(operations, servers)
    clients |= _idle(chance, names, clients)
    return World(name, servers, clients, tuple(operations))


def small(name: str, *, services: int, seed: int, stacks: Sequence[str] = STACKS[:3]) -> World:
    """One for real processes: no stores, each service once, and nothing that is said to be critical."""
    world = clean(name, services=services + services // 4, seed=seed, stacks=stacks)
    gone = {each for each, server in world.servers.items() if server.kind != "http"}
    operations = tuple(replace(o, steps=_without(o.steps, gone), critical=False, rate_hz=5.0) for o in world.operations)
    used = {each for o in operations for edge, _ in uses(o) for each in edge} | {o.service for o in operations}
    return World(
        name,
        {each: replace(s, instances=1) for each, s in world.servers.items() if each in used},
        {edge: replace(c, retries=0) for edge, c in world.clients.items() if {*edge} <= used},
        operations,
    )


def _without(steps: tuple[Step, ...], gone: set[str]) -> tuple[Step, ...]:
    return tuple(replace(step, then=_without(step.then, gone)) for step in steps if step.callee not in gone)


def _library(chance: random.Random, names: dict[str, list[str]]) -> tuple[Step, ...]:
    return (Step(chance.choice(names["db"])),) if chance.random() < 0.4 else ()


def _application(chance: random.Random, libs: list[_Part], names: dict[str, list[str]]) -> tuple[Step, ...]:
    chosen = chance.sample(libs, min(len(libs), chance.choice((1, 2, 2))))
    steps = [Step(lib.name, soft=chance.random() < 0.45, then=lib.steps) for lib in chosen]
    if chance.random() < 0.45:
        store = Step(chance.choice(names["db"]))
        cached = chance.random() < 0.5
        steps.append(Step(chance.choice(names["cache"]), soft=True, spares=store) if cached else store)
    return tuple(steps)


def _of_webs(chance: random.Random, webs: list[str], apps: list[_Part]) -> list[Operation]:
    """Each web offers three operations over some of the applications; together they use all of them."""
    turns = [apps[n :: len(webs)] for n in range(len(webs))]
    found = []
    for web, own in zip(webs, turns, strict=True):
        near = [*own, *chance.sample(apps, min(2, len(apps)))]
        near = list({app.name: app for app in near}.values())
        chance.shuffle(near)
        shares = [near[n::3] for n in range(3)]
        for number, share in enumerate(shares):
            steps = [
                Step(app.name, soft=place > 0 and chance.random() < 0.6, then=app.steps)
                for place, app in enumerate(share[:3])
            ]
            if steps:
                critical = number == 0 or chance.random() < 0.2
                found.append(Operation(f"{web}-op{number + 1}", web, tuple(steps), critical=critical))
    return found


def _of_apps(chance: random.Random, apps: list[_Part]) -> list[Operation]:
    """Most of the applications are asked by users too: for all that they do, and for a part of it."""
    found = []
    for app in apps:
        if chance.random() < 0.7 and app.steps:
            found.append(Operation(f"{app.name}-all", app.name, app.steps))
            found.append(Operation(f"{app.name}-part", app.name, app.steps[1:]))
    return found


def _servers(
    chance: random.Random, names: dict[str, list[str]], operations: list[Operation], stacks: Sequence[str]
) -> dict[str, Server]:
    hard = {name for o in operations if o.critical for name in needs(o)}
    found = {}
    for layer, members in names.items():
        for name in members:
            if layer == "db":
                server = Server("database", "postgresql", 2, service_s=0.003, workers=40)
            elif layer == "cache":
                server = Server("cache", "redis", 1, service_s=0.0008, workers=40)
            else:
                instances = 2 if name in hard or layer == "web" or chance.random() < 0.3 else 1
                server = Server("http", chance.choice(stacks), instances, service_s=chance.uniform(0.003, 0.01))
            found[name] = server
    return found


def _clients(operations: list[Operation], servers: dict[str, Server]) -> dict[tuple[str, str], Client]:
    needed = {edge for o in operations if o.critical for edge, hard in uses(o) if hard}
    found: dict[tuple[str, str], Client] = {}
    for edge in dict.fromkeys(edge for o in operations for edge, _ in uses(o)):
        caller, callee = edge
        store = servers[callee].kind != "http"
        depth = {"web": 0, "app": 1}.get(caller.partition("-")[0], 2)
        found[edge] = Client(
            timeout_s=STORE_S if store else TIMEOUTS_S[depth],
            retries=RETRIES if edge in needed else 0,
            retry_on=FAST - {"5xx"} if store else FAST,
        )
    return found


def _idle(
    chance: random.Random, names: dict[str, list[str]], clients: dict[tuple[str, str], Client]
) -> dict[tuple[str, str], Client]:
    pairs = [(a, b) for a in names["app"] for b in names["lib"] if (a, b) not in clients]
    return {pair: Client() for pair in chance.sample(pairs, min(len(pairs), max(1, int(IDLE * len(clients)))))}


def changed(
    world: World, *, servers: dict[str, Server] | None = None, clients: dict[tuple[str, str], Client] | None = None
) -> World:
    """The same system with some servers and clients other than they were."""
    return replace(world, servers={**world.servers, **(servers or {})}, clients={**world.clients, **(clients or {})})
