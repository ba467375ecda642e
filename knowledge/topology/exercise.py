"""Which edges each operation uses, seen by asking it and counting the calls that arrive."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from executor.model.probe import Check, HttpProbe, TcpProbe
from executor.model.system import Dependency, Service, System
from executor.probes.ask import Client, ask, open_client
from executor.probes.hosts import allowed_hosts
from executor.proxy.edges import count_calls as calls_through_proxy

CountCalls = Callable[[Dependency], int | None]

ASKS = 6
"""An operation is asked so often in one round."""
ROUNDS_MAX = 10
"""More rounds are asked only while other traffic leaves it open whether an edge is used."""
USED_MIN = 0.5
"""Calls for each asking from which on an edge counts as used. One that is called only when a cache is cold is not: an
experiment on it would show next to nothing."""
_SIGMAS = 3.0
"""Other traffic may exceed its mean by so many standard deviations (of a Poisson process) without being noticed."""


@dataclass(frozen=True)
class Pace:
    """How long is waited, seconds."""

    ambient_s: float = 1.5
    """Other traffic is watched for this long before and after."""
    settle_s: float = 0.1
    """After the last answer, for calls that an operation makes behind its caller's back."""
    pause_s: float = 0.1
    """Between two operations."""


DEFAULT_PACE = Pace()


def observe_exercises(
    system: System,
    count_calls: CountCalls = calls_through_proxy,
    pace: Pace = DEFAULT_PACE,
    tell: Callable[[str], None] = lambda _: None,
) -> System:
    """The system with ``exercises`` of each operation as seen just now: operations are really asked, one after another.

    Other traffic is measured before and after, and an edge is claimed only if its calls rise clearly above that. An
    edge whose calls cannot be counted is claimed if it is known and its caller is reached: the service that is asked,
    or the callee of an edge that is claimed. So there it means "may be used", and a hypothesis that rests on it is
    judged without proof that calls crossed it. Of an operation that only connects none is claimed so: it sends nothing
    that its service could pass on.

    An operation that never answers well keeps what it had, and ``tell`` is told so. Raises ``SafetyRefusalError`` for
    an operation whose host is none of the system's.
    """
    observer = _Observer(system, count_calls, pace, tell)
    seen = anyio.run(observer.all)
    services = tuple(_service(service, seen) for service in system.services)
    return System(name=system.name, environment=system.environment, services=services, dependencies=system.dependencies)


class _Observer:
    def __init__(self, system: System, count: CountCalls, pace: Pace, tell: Callable[[str], None]) -> None:
        self._system = system
        self._count = count
        self._pace = pace
        self._tell = tell
        self._countable = [edge for edge in system.dependencies if count(edge) is not None]
        self._ports = {i.port: s.name for s in system.services for i in s.instances if i.port is not None}

    async def all(self) -> dict[str, tuple[str, ...]]:
        """Operation → edges, for those that answered well."""
        checks = [check for service in self._system.services for check in service.operations]
        rounds: dict[str, _Asked] = {}
        async with open_client(allowed_hosts(self._system)) as client:
            ambient = await self._ambient()
            for check in checks:
                asked = await self._ask_until_clear(check, client, ambient)
                if asked is not None:
                    rounds[check.id] = asked
                await anyio.sleep(self._pace.pause_s)
        after = await self._ambient()
        ambient = {place: max(rate, after[place]) for place, rate in ambient.items()}
        return {check.id: self._edges(check, rounds[check.id], ambient) for check in checks if check.id in rounds}

    async def _ambient(self) -> dict[str, float]:
        """Calls per second on each countable edge while nothing is asked."""
        before, start = self._counts(), time.monotonic()
        await anyio.sleep(self._pace.ambient_s)
        after, elapsed = self._counts(), time.monotonic() - start
        return {place: max(0, after[place] - before[place]) / elapsed for place in before}

    async def _ask_until_clear(self, check: Check, client: Client, ambient: Mapping[str, float]) -> _Asked | None:
        asked = _Asked(0, 0.0, dict.fromkeys(ambient, 0))
        good = 0
        for _ in range(ROUNDS_MAX):
            before, start = self._counts(), time.monotonic()
            for _ in range(ASKS):
                answer = await ask(check.probe, client)
                good += answer.ok
            await anyio.sleep(self._pace.settle_s)
            after = self._counts()
            rises = {place: asked.rises[place] + max(0, after[place] - before[place]) for place in ambient}
            asked = _Asked(asked.asks + ASKS, asked.elapsed_s + time.monotonic() - start, rises)
            if not good:
                self._tell(f"operation {check.id} does not answer well: {answer.error}")
                return None
            if all(asked.used(place, rate) is not None for place, rate in ambient.items()):
                break
        return asked

    def _counts(self) -> dict[str, int]:
        return {edge.place: self._count(edge) or 0 for edge in self._countable}

    def _edges(self, check: Check, asked: _Asked, ambient: Mapping[str, float]) -> tuple[str, ...]:
        used = {place for place, rate in ambient.items() if asked.used(place, rate)}
        if isinstance(check.probe, TcpProbe):
            return tuple(sorted(used))
        reached = {self._entry(check)} | {place.split("->")[1] for place in used}
        unknown = [edge for edge in self._system.dependencies if edge.place not in ambient]
        while further := [edge for edge in unknown if edge.caller in reached and edge.place not in used]:
            used |= {edge.place for edge in further}
            reached |= {edge.callee for edge in further}
        return tuple(sorted(used))

    def _entry(self, check: Check) -> str:
        """The service that is asked: who listens at the probe's port, else the one the check stands for."""
        port = urlsplit(check.probe.url).port if isinstance(check.probe, HttpProbe) else check.probe.port
        return self._ports.get(port, check.service) if port is not None else check.service


@dataclass(frozen=True)
class _Asked:
    """What one operation was asked, and by how much each countable edge's calls rose meanwhile."""

    asks: int
    elapsed_s: float
    rises: Mapping[str, int]

    def used(self, place: str, ambient_per_s: float) -> bool | None:
        """Whether the edge is used; ``None`` while other traffic leaves it open."""
        expected = ambient_per_s * self.elapsed_s
        noise = _SIGMAS * math.sqrt(expected)
        least = USED_MIN * self.asks
        rise = self.rises[place] - expected
        if rise >= max(least, noise):
            return True
        return False if rise + noise < least or not expected else None


def _service(service: Service, seen: Mapping[str, tuple[str, ...]]) -> Service:
    operations = tuple(_check(check, seen) for check in service.operations)
    return Service(**{**{key: getattr(service, key) for key in Service.model_fields}, "operations": operations})


def _check(check: Check, seen: Mapping[str, tuple[str, ...]]) -> Check:
    fields = {key: getattr(check, key) for key in Check.model_fields}
    return Check(**{**fields, "exercises": seen.get(check.id, check.exercises)})
