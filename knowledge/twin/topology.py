"""A system as arrays: services and edges by number, and in which order they are reckoned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np

from executor.model.plan import GroupsTarget, InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import System
from knowledge.twin.arrays import Flags, Places, places


@dataclass(frozen=True)
class Topology:
    """Services and edges keep the order that they have in the system."""

    system: System
    index: Mapping[str, int]
    """Service → its number."""
    edge_index: Mapping[str, int]
    """``caller->callee`` → the edge's number."""
    caller: Places
    callee: Places
    level: Places
    """Of each service: 0 for what calls nobody, and above all that it calls; those of a cycle share one."""
    closing: Flags
    """Of each edge: whether it closes a cycle. Time is not added up along such edges, or it would never end."""

    @cached_property
    def edges_in(self) -> list[list[int]]:
        """Of each service: the edges into it."""
        return _grouped(self.callee, len(self.index))

    @cached_property
    def edges_out(self) -> list[list[int]]:
        """Of each service: the edges out of it."""
        return _grouped(self.caller, len(self.index))

    @cached_property
    def operations(self) -> dict[str, Check]:
        """Every operation of the system, by its id."""
        return {check.id: check for service in self.system.services for check in service.operations}

    def upstream(self, services: Iterable[int]) -> frozenset[int]:
        """These services and all that reach them through calls."""
        return self._reached(services, self.edges_in, self.caller)

    def downstream(self, services: Iterable[int]) -> frozenset[int]:
        """These services and all that they reach through calls."""
        return self._reached(services, self.edges_out, self.callee)

    def struck_edges(self, target: Target) -> tuple[int, ...]:
        """The edges that a target names; none for instances."""
        if isinstance(target, InstanceTarget):
            return ()
        if not isinstance(target, GroupsTarget):
            number = self.edge_index.get(f"{target.caller}->{target.callee}")
            return () if number is None else (number,)
        pairs = [(a, b) for a in target.a for b in target.b] + [(b, a) for a in target.a for b in target.b]
        known = (self.edge_index.get(f"{a}->{b}") for a, b in pairs)
        return tuple(sorted({number for number in known if number is not None}))

    def _reached(self, begin: Iterable[int], edges: list[list[int]], far: Places) -> frozenset[int]:
        found = set(begin)
        fresh = list(found)
        ends = far.tolist()
        while fresh:
            for number in edges[fresh.pop()]:
                if (end := ends[number]) not in found:
                    found.add(end)
                    fresh.append(end)
        return frozenset(found)


def topology(system: System) -> Topology:
    """Number the services and edges of a system."""
    index = {service.name: number for number, service in enumerate(system.services)}
    caller = places([index[edge.caller] for edge in system.dependencies])
    callee = places([index[edge.callee] for edge in system.dependencies])
    level, cycle = _levels(len(index), caller, callee)
    return Topology(
        system=system,
        index=index,
        edge_index={edge.place: number for number, edge in enumerate(system.dependencies)},
        caller=caller,
        callee=callee,
        level=level,
        closing=(cycle[caller] == cycle[callee]) & (callee >= caller),
    )


def _levels(count: int, caller: Places, callee: Places) -> tuple[Places, Places]:
    """Of each service its level, and the number of the cycle (or of itself alone) that it belongs to."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(zip(caller.tolist(), callee.tolist(), strict=True))
    whole = nx.condensation(graph)
    cycle = np.empty(count, dtype=np.intp)
    level = np.zeros(count, dtype=np.intp)
    height: dict[int, int] = {}
    for group in reversed(list(nx.topological_sort(whole))):
        height[group] = 1 + max((height[below] for below in whole.successors(group)), default=-1)
        for member in whole.nodes[group]["members"]:
            cycle[member], level[member] = group, height[group]
    return level, cycle


def _grouped(ends: Places, count: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for number, end in enumerate(ends.tolist()):
        found[end].append(number)
    return found
