"""Which edges each operation uses, seen by asking it and counting the calls that arrive."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio

from executor.model.probe import Check, HttpProbe, TcpProbe
from executor.model.system import Dependency, Service, System
from executor.probes.answer import Answer
from executor.probes.ask import Client, ask, open_client
from executor.probes.hosts import allowed_hosts
from executor.proxy.edges import count_calls as calls_through_proxy

CountCalls = Callable[[Dependency], int | None]

ASKS = 6
"""An operation is asked so often in one round."""
ROUNDS_MAX = 20
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
    """Other traffic is watched for this long before and after all; if there is some, also after each round, for as long
    as the round was."""
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

    Other traffic is measured in between, and an edge is claimed only if its calls rise clearly above that; where it
    stays open, none is claimed and ``tell`` is told so. An edge whose calls cannot be counted is claimed if it is known
    and its caller is reached: the service that is asked, or the callee of an edge that is claimed. So there it means
    "may be used", and a hypothesis that rests on it is judged without proof that calls crossed it. Of an operation that
    only connects none is claimed so: it sends nothing that its service could pass on.

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
        ambient += await self._ambient()
        return {check.id: self._edges(check, rounds[check.id], ambient) for check in checks if check.id in rounds}

    async def _ambient(self) -> _Span:
        """What arrives at each countable edge while nothing is asked."""
        return await self._watch(lambda: anyio.sleep(self._pace.ambient_s))

    async def _watch(self, meanwhile: Callable[[], Awaitable[None]]) -> _Span:
        before, start = self._counts(), time.monotonic()
        await meanwhile()
        after, elapsed = self._counts(), time.monotonic() - start
        return _Span(elapsed, {place: max(0, after[place] - before[place]) for place in before})

    async def _ask_until_clear(self, check: Check, client: Client, ambient: _Span) -> _Asked | None:
        asked = _Asked(0, _Span.none(ambient), _Span.none(ambient))
        answers: list[Answer] = []

        async def ask_all() -> None:
            answers.extend([await ask(check.probe, client) for _ in range(ASKS)])
            await anyio.sleep(self._pace.settle_s)

        for _ in range(ROUNDS_MAX):
            during = await self._watch(ask_all)
            if not any(answer.ok for answer in answers):
                self._tell(f"operation {check.id} does not answer well: {answers[-1].error}")
                return None
            between = _Span.none(ambient)
            if any(ambient.calls.values()):  # it changes while we ask, so it is measured just after
                between = await self._watch(lambda: anyio.sleep(during.seconds))  # noqa: B023 - awaited at once
            asked = _Asked(len(answers), asked.during + during, asked.between + between)
            if not self._open(asked, ambient):
                break
        for place in self._open(asked, ambient):
            self._tell(f"other traffic leaves it open whether operation {check.id} uses {place}; taken as not used")
        return asked

    def _open(self, asked: _Asked, ambient: _Span) -> list[str]:
        return [place for place in ambient.calls if asked.used(place, ambient) is None]

    def _counts(self) -> dict[str, int]:
        return {edge.place: self._count(edge) or 0 for edge in self._countable}

    def _edges(self, check: Check, asked: _Asked, ambient: _Span) -> tuple[str, ...]:
        used = {place for place in ambient.calls if asked.used(place, ambient)}
        if isinstance(check.probe, TcpProbe):
            return tuple(sorted(used))
        reached = {self._entry(check)} | {place.split("->")[1] for place in used}
        unknown = [edge for edge in self._system.dependencies if edge.place not in ambient.calls]
        while further := [edge for edge in unknown if edge.caller in reached and edge.place not in used]:
            used |= {edge.place for edge in further}
            reached |= {edge.callee for edge in further}
        return tuple(sorted(used))

    def _entry(self, check: Check) -> str:
        """The service that is asked: who listens at the probe's port, else the one the check stands for."""
        port = urlsplit(check.probe.url).port if isinstance(check.probe, HttpProbe) else check.probe.port
        return self._ports.get(port, check.service) if port is not None else check.service


@dataclass(frozen=True)
class _Span:
    """Some time, and the calls that arrived at each countable edge meanwhile."""

    seconds: float
    calls: Mapping[str, int]

    @classmethod
    def none(cls, like: _Span) -> _Span:
        return cls(0.0, dict.fromkeys(like.calls, 0))

    def __add__(self, other: _Span) -> _Span:
        return _Span(self.seconds + other.seconds, {p: n + other.calls[p] for p, n in self.calls.items()})


@dataclass(frozen=True)
class _Asked:
    """How often one operation was asked, what arrived meanwhile, and what arrived between the rounds."""

    asks: int
    during: _Span
    between: _Span

    def used(self, place: str, ambient: _Span) -> bool | None:
        """Whether the edge is used; ``None`` while other traffic leaves it open."""
        quiet = self.between if self.between.seconds else ambient
        ratio = self.during.seconds / quiet.seconds
        expected = quiet.calls[place] * ratio
        noise = _SIGMAS * math.sqrt(expected * (1 + ratio))  # of what is expected, and of how well we know it
        least = USED_MIN * self.asks
        rise = self.during.calls[place] - expected
        if rise >= max(least, noise):
            return True
        return False if rise + noise < least or not expected else None


def _service(service: Service, seen: Mapping[str, tuple[str, ...]]) -> Service:
    operations = tuple(_check(check, seen) for check in service.operations)
    return Service(**{**{key: getattr(service, key) for key in Service.model_fields}, "operations": operations})


def _check(check: Check, seen: Mapping[str, tuple[str, ...]]) -> Check:
    fields = {key: getattr(check, key) for key in Check.model_fields}
    return Check(**{**fields, "exercises": seen.get(check.id, check.exercises)})
