"""Weaknesses that can be planted: what is wrong, where it can be, and the names under which it is rightly found.

Each hides behind some *type* of fault, as such weaknesses do. Sources, none of them one of Murphy's own playbooks or
tables: [S] the sweep of 25 public Flask systems, edge by edge and type by type (docs/gym.md, "What is planted"); [Y]
Yuan et al., "Simple Testing Can Prevent Most Critical Failures", OSDI 2014 (errors that are handled wrongly or not at
all); [M] Huang et al., "Metastable Failures in the Wild", OSDI 2022 (retries that keep a failure alive); [G] Gunawi et
al., "Why Does the Cloud Stop Computing?", SoCC 2016 (597 outages: recovery that fails, single points of failure); [H]
Huang et al., "Gray Failure", HotOS 2017 (health checks that see less than users do).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.gym.behaviour import ANY, BROKEN, FAST, Client, Operation, Server, Step, World, hard, needs, uses, usual
from bench.gym.topology import changed
from executor.model.vocabulary import Weakness

W = Weakness

Pair = tuple[W, str]
"""A weakness class at a place, as a finding has it."""
Edge = tuple[str, str]


@dataclass(frozen=True)
class Planted:
    """One weakness that is in a system."""

    plant: str
    place: str
    shows_as: frozenset[Pair]
    """Findings of which any one means that it was found."""
    also: frozenset[Pair]
    """Findings that are true because of it, and do not point to it."""


@dataclass(frozen=True)
class Plant:
    """A kind of weakness."""

    name: str
    hides: str
    """What shows it, and what does not."""
    source: str
    places: Callable[[World], list[str]]
    change: Callable[[World, str], World]
    shows_as: Callable[[World, str], frozenset[Pair]]
    also: Callable[[World, str], frozenset[Pair]] = lambda _world, _place: frozenset()

    def at(self, world: World, place: str) -> tuple[World, Planted]:
        """The system with it."""
        planted = Planted(self.name, place, self.shows_as(world, place), self.also(world, place))
        return self.change(world, place), planted


# Where something can be


def _edges(world: World) -> list[Edge]:
    """Edges that something uses which users ask of the caller itself.

    Deeper in, callers between with time-outs, retries and breakers of their own keep most of it from everybody.
    """
    used = {edge for o in world.operations for edge in usual(o) if edge[0] == o.service}
    return [edge for edge in world.clients if edge in used]


def _name(edge: Edge) -> str:
    return f"{edge[0]}->{edge[1]}"


def _edge(place: str) -> Edge:
    caller, _, callee = place.partition("->")
    return caller, callee


def _http(world: World) -> list[str]:
    return [_name(e) for e in _edges(world) if world.servers[e[1]].kind == "http"]


def _soft(world: World) -> list[str]:
    """Edges whose caller should be able to do without."""
    needed = hard(world)
    return sorted(_name(e) for e in _edges(world) if e not in needed and world.servers[e[1]].kind == "http")


def _critical(world: World) -> list[str]:
    """Edges that something critical cannot do without, and nothing uses that can."""
    must = {edge for o in world.operations if o.critical for edge, needed in uses(o) if needed}
    free = {edge for o in world.operations for edge, _ in uses(o) if edge[1] not in needs(o)}
    return [_name(e) for e in _edges(world) if e in must - free and world.servers[e[1]].kind == "http"]


def _shared(world: World) -> list[str]:
    """Edges whose caller offers users something that does not use them, and something that does."""
    found = []
    for edge in _edges(world):
        own = [o for o in world.operations if o.service == edge[0]]
        using = [o for o in own if _uses(o, edge)]
        if using and len(using) < len(own) and world.servers[edge[1]].kind == "http":
            found.append(_name(edge))
    return found


def _uses(operation: Operation, edge: Edge) -> bool:
    return any(each == edge for each, _ in uses(operation))


def _databases(world: World) -> list[str]:
    """Edges into a database that is asked each time, and not only when a cache finds nothing."""
    return sorted(_name(e) for e in _edges(world) if world.servers[e[1]].kind == "database")


def _caches(world: World) -> list[str]:
    return [_name(e) for e in _edges(world) if world.servers[e[1]].kind == "cache"]


def _members(world: World) -> list[str]:
    """Edges to several instances that their caller cannot do without."""
    must = hard(world)
    several = {name for name, server in world.servers.items() if server.instances > 1 and server.kind == "http"}
    return [_name(e) for e in _edges(world) if e in must and e[1] in several]


def _asked(world: World) -> list[str]:
    """Services that users ask, with something that they cannot answer without."""
    needy = {caller for caller, _ in hard(world)}
    return [name for name in dict.fromkeys(o.service for o in world.operations) if name in needy]


def _lone(world: World) -> list[str]:
    """Services of one instance that some operation needs."""
    needed = {name for o in world.operations for name in needs(o)}
    return [
        name
        for name, server in world.servers.items()
        if server.instances == 1 and server.kind == "http" and name in needed
    ]


def _critical_services(world: World) -> list[str]:
    must = {name for o in world.operations if o.critical for name in needs(o)}
    return [name for name, s in world.servers.items() if name in must and s.kind == "http"]


def _critical_alone(world: World) -> list[str]:
    """Services of one instance that something critical passes through, and that offer something themselves."""
    through = {name for o in world.operations if o.critical for edge, _ in uses(o) for name in edge}
    offers = {o.service for o in world.operations}
    lone = [n for n, s in world.servers.items() if s.instances == 1 and s.kind == "http"]
    return [name for name in lone if name in through & offers]


def _pairs_of_soft(world: World) -> list[str]:
    """Services with two optional parts of one operation: the first of the two edges stands for both."""
    two = [(o.service, _soft_two(o)) for o in world.operations]
    return sorted({_name((service, soft[0])) for service, soft in two if len(soft) == 2})


def _soft_two(operation: Operation) -> tuple[str, ...]:
    return tuple(step.callee for step in operation.steps if step.soft and step.spares is None)[:2]


# What is changed


def _client(**values: Any) -> Callable[[World, str], World]:
    def change(world: World, place: str) -> World:
        edge = _edge(place)
        return changed(world, clients={edge: replace(world.clients[edge], **values)})

    return change


def _server(**values: Any) -> Callable[[World, str], World]:
    def change(world: World, place: str) -> World:
        return changed(world, servers={place: replace(world.servers[place], **values)})

    return change


def _no_wall(world: World, place: str) -> World:
    edge = _edge(place)
    client = replace(world.clients[edge], timeout_s=1.8, pool=None, breaker_after=None)
    return changed(
        world, clients={edge: client}, servers={edge[0]: replace(world.servers[edge[0]], workers=4, queue=10)}
    )


def _unsafe(world: World, place: str) -> World:
    """Every wait fills it: its clients have no bounds but a time-out that is right."""
    clients = {e: replace(c, pool=None, breaker_after=None) for e, c in world.clients.items() if e[0] == place}
    return changed(world, clients=clients, servers={place: replace(world.servers[place], most=5)})


def _slow_behind(world: World, place: str) -> World:
    """A database of its own stands behind the cache, which can do with what the cache lets through, and no more."""
    edge = _edge(place)
    behind = f"db-{sum(server.kind == 'database' for server in world.servers.values()) + 1:02}"

    def rewired(caller: str, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        found = []
        for step in steps:
            onward = replace(step, then=rewired(step.callee, step.then))
            found.append(replace(onward, spares=Step(behind)) if (caller, step.callee) == edge else onward)
        return tuple(found)

    operations = tuple(replace(o, steps=rewired(o.service, o.steps)) for o in world.operations)
    slow = Server("database", "postgresql", 2, service_s=0.16, workers=1, spread=0.1)
    more = replace(world, servers={**world.servers, behind: slow}, operations=operations)
    return changed(more, clients={(edge[0], behind): Client(timeout_s=0.3, retry_on=FAST - {"5xx"})})


def _either(world: World, place: str) -> World:
    caller = _edge(place)[0]
    two = next(_soft_two(o) for o in world.operations if o.service == caller and _soft_two(o)[:1] == (_edge(place)[1],))
    return changed(world, servers={caller: replace(world.servers[caller], either=two)})


# Under which names it is found


def _as(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    return lambda _world, place: frozenset((each, place) for each in classes)


def _at_callers(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At every edge into the service."""
    return lambda world, place: frozenset((each, _name(e)) for each in classes for e in world.clients if e[1] == place)


def _at_calls(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At the service, and at every edge out of it."""
    return lambda world, place: frozenset(
        (each, where) for each in classes for where in (place, *(_name(e) for e in world.clients if e[0] == place))
    )


def _at_caller(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At the edge's caller."""
    return lambda _world, place: frozenset((each, _edge(place)[0]) for each in classes)


def _before(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At every edge into the edge's caller: who calls it gives up before it has come to its fallback."""
    return lambda world, place: frozenset(
        (each, _name(e)) for each in classes for e in world.clients if e[1] == _edge(place)[0]
    )


def _at_callee(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At the edge's callee."""
    return lambda _world, place: frozenset((each, _edge(place)[1]) for each in classes)


def _beneath(*classes: W) -> Callable[[World, str], frozenset[Pair]]:
    """At all that the edge's callee cannot do without: where that fails, the callee answers with an error."""

    def pairs(world: World, place: str) -> frozenset[Pair]:
        must, ahead = hard(world), [_edge(place)[1]]
        found: set[Edge] = set()
        while ahead:
            name = ahead.pop()
            more = [e for e in must if e[0] == name and e not in found]
            found.update(more)
            ahead += [e[1] for e in more]
        return frozenset((each, _name(e)) for each in classes for e in found)

    return pairs


def _any_of(*ways: Callable[[World, str], frozenset[Pair]]) -> Callable[[World, str], frozenset[Pair]]:
    return lambda world, place: frozenset(pair for way in ways for pair in way(world, place))


_OPTIONAL = (W.HARD_DEPENDENCY, W.NO_GRACEFUL_DEGRADATION)
_WAITING = (
    *(W.MISSING_CIRCUIT_BREAKER, W.MISSING_BULKHEAD, W.DOES_NOT_RECONNECT, W.LOAD_BALANCER_KEEPS_DEAD_MEMBER),
    *_OPTIONAL,
)
"""True of an edge whose calls are never given up: no failure is counted, nobody is left out, workers are held."""

_UNSEEN = _at_caller(W.DETECTION_BLIND_SPOT)
"""True of whoever fails users for want of an optional part: health checks look at what cannot be done without."""
_NOT_SPARED = _at_callee(W.SINGLE_POINT_OF_FAILURE)
"""True of a callee of several instances whose caller stays with the one that says nothing: its loss is felt by users,
as if there were no other."""

PLANTS: Mapping[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant(
            "waits-for-ever", "a dead callee is borne, a slow or silent one not", "[S]", _http,
            _client(timeout_s=None), _as(W.MISSING_TIMEOUT),
            _any_of(_as(*_WAITING), _UNSEEN, _NOT_SPARED),
        ),
        Plant(
            "waits-too-long", "a callee slower than any user waits for; half a minute passes before it gives up", "[S]",
            _http, _client(timeout_s=30.0), _as(W.MISSING_TIMEOUT),
            _any_of(_as(*_WAITING), _UNSEEN, _NOT_SPARED),
        ),
        Plant(
            "ten-retries-behind-a-fallback", "errors are answered at once and well; silence after ten time-outs", "[S]",
            _soft,
            _client(
                retries=10, retry_on=frozenset({"timeout"}), retry_within_s=None, breaker_after=None, pool=None
            ),
            _as(W.MISSING_TIMEOUT, W.RETRY_STORM),
            _any_of(
                _as(W.MISSING_CIRCUIT_BREAKER, W.MISSING_BULKHEAD, *_OPTIONAL),
                _UNSEEN, _before(W.TIMEOUT_INVERSION),
            ),
        ),
        Plant(
            "no-fallback", "any failure of an optional part", "[Y]", _soft,
            _client(fallback=frozenset()), _as(*_OPTIONAL), _any_of(_beneath(*_OPTIONAL), _UNSEEN),
        ),
        Plant(
            "fallback-skips-404", "a 404 alone", "[S]", _soft,
            _client(fallback=ANY - {"4xx"}), _as(*_OPTIONAL), _UNSEEN,
        ),
        Plant(
            "fallback-skips-errors", "error statuses, not broken connections", "[S]", _soft,
            _client(fallback=ANY - {"5xx", "4xx"}, breaker_counts=BROKEN - {"5xx"}), _as(*_OPTIONAL),
            _any_of(_beneath(*_OPTIONAL), _UNSEEN),
        ),
        Plant(
            "parser-outside-the-fallback", "a body that cannot be read, with status 200", "[S][Y]", _soft,
            _client(fallback=ANY - {"malformed"}, breaker_counts=BROKEN - {"malformed"}), _as(*_OPTIONAL), _UNSEEN,
        ),
        Plant(
            "handler-fails-on-refused", "refused connections alone: the error handler has a bug", "[S]", _soft,
            _client(fallback=ANY - {"refused", "open"}, breaker_counts=frozenset({"refused"})), _as(*_OPTIONAL),
            _any_of(_as(W.MISSING_CIRCUIT_BREAKER), _UNSEEN),
        ),
        Plant(
            "retry-storm", "whatever fails at once; a slow callee gets no more calls than usual", "[M]", _http,
            _client(retries=7, breaker_after=None), _as(W.RETRY_STORM), _as(W.MISSING_CIRCUIT_BREAKER),
        ),
        Plant(
            "breaker-counts-errors-only", "time-outs, of which its breaker takes no notice", "[S][M]", _http,
            _client(breaker_counts=BROKEN - {"timeout"}, pool=None), _as(W.MISSING_CIRCUIT_BREAKER),
            _as(W.MISSING_BULKHEAD),
        ),
        Plant(
            "breaker-never-closes", "nothing as long as the fault lasts: it shows afterwards", "[S]", _http,
            _client(closes=False), _as(W.DOES_NOT_RECONNECT), _at_caller(W.SLOW_OR_MISSING_RECOVERY),
        ),
        Plant(
            "no-wall", "slow or silent calls, which take the workers of what does not use them", "[S][M]", _shared,
            _no_wall, _as(W.MISSING_BULKHEAD),
            _any_of(_as(W.MISSING_CIRCUIT_BREAKER, *_OPTIONAL), _at_calls(W.MISSING_BULKHEAD, W.CAPACITY_CLIFF)),
        ),
        Plant(
            "sixth-at-once", "more than five requests under way, as when anything that it calls is slow", "[S]",
            _asked, _unsafe, _at_calls(W.MISSING_BULKHEAD, W.CAPACITY_CLIFF, *_OPTIONAL),
            _any_of(
                _at_calls(W.MISSING_CIRCUIT_BREAKER, W.LOAD_BALANCER_KEEPS_DEAD_MEMBER),
                _at_callers(*_OPTIONAL), _as(W.DETECTION_BLIND_SPOT),
            ),
        ),
        Plant(
            "dead-connection-kept", "a connection that was cut; a slow or erring store is borne", "[Y]", _databases,
            _client(reconnects=False), _as(W.DOES_NOT_RECONNECT), _as(W.MISSING_RETRY, *_OPTIONAL),
        ),
        Plant(
            "single", "the death of its only instance, whose restart takes three seconds", "[G]", _critical_services,
            _server(instances=1, restart_s=3.0), _as(W.SINGLE_POINT_OF_FAILURE),
        ),
        Plant(
            "slow-restart", "its death: what it has to load takes half a minute", "[G]", _lone,
            _server(restart_s=30.0), _as(W.SLOW_OR_MISSING_RECOVERY), _at_callers(W.DOES_NOT_RECONNECT, *_OPTIONAL),
        ),
        Plant(
            "supervisor-gives-up", "the third death in a row; one death is nothing", "[G]", _lone,
            _server(deaths=3), _as(W.SLOW_OR_MISSING_RECOVERY), _at_callers(W.DOES_NOT_RECONNECT, *_OPTIONAL),
        ),
        Plant(
            "health-says-it-runs", "a failure of what it cannot do without", "[H]", _asked,
            _server(health="shallow"), _as(W.DETECTION_BLIND_SPOT),
        ),
        Plant(
            "hung-member-kept", "an instance that says nothing; a dead one is left out", "[H]", _members,
            _client(ejects=False), _as(W.LOAD_BALANCER_KEEPS_DEAD_MEMBER),
            _any_of(_as(W.MISSING_CIRCUIT_BREAKER), _UNSEEN, _NOT_SPARED),
        ),
        Plant(
            "one-try-only", "rare errors; none of the whole failures tells it from any other caller", "[Y]", _critical,
            _client(retries=0), _as(W.MISSING_RETRY),
        ),
        Plant(
            "thread-for-each-connection", "clients that connect and say nothing", "[S]", _critical_alone,
            _server(thread_each=True), _as(W.POOL_EXHAUSTION),
        ),
        Plant(
            "thrashes", "less processor than it is used to; it then gets less done, not only later", "[M]", _lone,
            _server(thrash=50.0), _as(W.CAPACITY_CLIFF),
            _any_of(
                _as(W.SLOW_OR_MISSING_RECOVERY, W.DETECTION_BLIND_SPOT),
                _at_calls(W.MISSING_BULKHEAD, W.MISSING_TIMEOUT, *_OPTIONAL),
            ),
        ),
        Plant(
            "slow-behind-the-cache", "a cache without its keys", "[M]", _caches,
            _slow_behind, _as(W.COLD_CACHE_OVERLOAD, W.HARD_DEPENDENCY),
            _as(W.DOES_NOT_RECONNECT, W.MISSING_TIMEOUT, W.NO_GRACEFUL_DEGRADATION),
        ),
        Plant(
            "each-stands-in-for-the-other", "two faults at once", "[S]", _pairs_of_soft,
            _either, _as(*_OPTIONAL),
        ),
    )
}  # fmt: skip
