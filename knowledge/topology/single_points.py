"""Suspected single points of failure: services through which all ways to something that users need pass.

A suspicion from the dependency graph alone. Whether users really lose something is for an experiment to say: a caller
may do without, which no edge shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import networkx as nx

from executor.model.probe import Check
from executor.model.system import Dependency, System

USERS = "\0users"
"""Root of the graph, from which the entry points are reached; no service can be called that."""


@dataclass(frozen=True)
class SinglePoint:
    """A service with at most one known instance, and what hangs on it."""

    service: str
    operations: tuple[str, ...]
    """What users do, as far as it needs something that cannot be reached without the service, or the service itself."""
    cut_off: tuple[str, ...]
    """Services that users reach only through it: it dominates them. What is reached with a fallback alone is none."""
    articulation: bool
    """Whether the graph falls apart without it, in whatever direction calls go."""


def single_points(system: System) -> tuple[SinglePoint, ...]:
    """Every suspected one, those first on which most hangs.

    Edges with a known fallback, and services that an operation's ``needs`` leaves out, are soft: nothing hangs on
    them, though what is called on them is reached. Several instances of a service stand in for each other, so that no
    one of them is a single point.
    Sources: T. Lengauer and R. E. Tarjan, "A fast algorithm for finding dominators in a flowgraph", TOPLAS 1 (1979);
    J. Hopcroft and R. E. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation", CACM 16 (1973).
    """
    hard = _graph(system, (edge for edge in system.dependencies if not edge.fallback))
    reached = nx.descendants(hard, USERS)
    every = _dominators(_graph(system, system.dependencies), USERS)
    above = {name: every[name] for name in reached}
    apart = frozenset(nx.articulation_points(hard.to_undirected(as_view=True)))
    hanging: dict[str, set[str]] = {}
    ways = _Ways(system.dependencies)
    for check in entry_operations(system):
        for name in ways.needed_on_all(check):
            hanging.setdefault(name, set()).add(check.id)
    if not any(service.operations for service in system.services):
        for name in above:
            for each in (name, *above[name]):
                hanging.setdefault(each, set())
    found = (
        SinglePoint(
            service=service.name,
            operations=tuple(sorted(hanging[service.name])),
            cut_off=tuple(sorted(name for name, those in above.items() if service.name in those)),
            articulation=service.name in apart,
        )
        for service in system.services
        if service.name in hanging and len(service.instances) <= 1
    )
    return tuple(sorted(found, key=lambda each: (-len(each.operations), -len(each.cut_off), each.service)))


def entry_operations(system: System) -> tuple[Check, ...]:
    """What users do: operations of entry services, and critical ones; all where there is none of these."""
    entries = entry_services(system)
    every = [check for service in system.services for check in service.operations]
    return tuple(check for check in every if check.critical or check.service in entries) or tuple(every)


def entry_services(system: System) -> frozenset[str]:
    """Services that nobody calls, but for what they call themselves: of a ring that nobody else enters, all."""
    graph = _directed(system.dependencies)
    graph.add_nodes_from(service.name for service in system.services)
    rings = nx.strongly_connected_components(graph)
    return frozenset(name for ring in rings if all(set(graph.pred[each]) <= ring for each in ring) for name in ring)


def hard_callees(name: str, edges: Iterable[Dependency]) -> frozenset[str]:
    """What a service reaches by edges that are not known to have a fallback."""
    graph = _directed(edge for edge in edges if not edge.fallback)
    return frozenset(nx.descendants(graph, name)) if name in graph else frozenset()


def _graph(system: System, edges: Iterable[Dependency]) -> nx.DiGraph[str]:
    graph = _directed(edges)
    graph.add_edges_from((USERS, name) for name in sorted(_entered(system)))
    return graph


def _entered(system: System) -> frozenset[str]:
    operations = entry_operations(system)
    return frozenset(check.service for check in operations) if operations else entry_services(system)


def _dominators(graph: nx.DiGraph[str], start: str) -> Mapping[str, frozenset[str]]:
    """Of each node that can be reached, what all ways to it pass, itself and the start left out."""
    above: dict[str, str | None] = dict(nx.immediate_dominators(graph, start))
    return {name: frozenset(_up(name, start, above)) for name in {start, *above}}


def _up(name: str, start: str, above: Mapping[str, str | None]) -> Iterator[str]:
    while name != start and (parent := above.get(name)) not in (None, start):
        assert parent is not None  # just looked
        yield parent
        name = parent


class _Ways:
    """The graphs over which checks reach what they need; each is made once, as many checks use the same edges."""

    def __init__(self, edges: Iterable[Dependency]) -> None:
        self._edges = tuple(edges)
        self._graphs: dict[tuple[str, ...] | None, tuple[nx.DiGraph[str], nx.DiGraph[str]]] = {}

    def needed_on_all(self, check: Check) -> frozenset[str]:
        """The services without which a check cannot get what it needs."""
        every, hard = self._over(check.exercises)
        for graph in (every, hard):
            graph.add_node(check.service)
        above = _dominators(every, check.service)
        needed = {check.service, *(check.needs if check.needs is not None else nx.descendants(hard, check.service))}
        passed = frozenset(name for each in needed if each in above for name in above[each])
        return passed | needed

    def _over(self, exercises: tuple[str, ...] | None) -> tuple[nx.DiGraph[str], nx.DiGraph[str]]:
        """All edges that are used, and those of them that are not known to have a fallback."""
        if exercises not in self._graphs:
            used = [edge for edge in self._edges if exercises is None or edge.place in exercises]
            self._graphs[exercises] = (_directed(used), _directed(edge for edge in used if not edge.fallback))
        return self._graphs[exercises]


def _directed(edges: Iterable[Dependency]) -> nx.DiGraph[str]:
    return nx.DiGraph((edge.caller, edge.callee) for edge in edges)
