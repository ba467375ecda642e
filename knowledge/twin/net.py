"""The part of a system that an experiment can be felt in, as a graph of nodes in the order of their reckoning.

Nodes are the services, each as if every request used all that it calls; and, for each check of which it is known what
it exercises, copies of the services on its way that use only those edges. Only edges are kept along which something can
be felt: those that are struck, and those into a service that is struck or can feel it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from executor.model.probe import Check
from executor.model.system import Service, System
from executor.model.vocabulary import ServiceKind
from knowledge.twin.arrays import Flags, Floats, Places, places
from knowledge.twin.blows import Blows
from knowledge.twin.topology import Topology

HARD, SOFT, UNSAID = 1.0, 0.0, -1.0
"""Whether a caller is meant to fail without a callee; or nobody says."""


@dataclass(frozen=True)
class Group:
    """Edges that are reckoned together: their callees are known by then, unless it is a cycle."""

    edges: slice
    tails: Places
    """The nodes that they belong to, each once."""
    starts: Places
    """Where each node's edges begin, within the slice."""
    loops: bool
    """Whether some callees are among the tails."""


@dataclass(frozen=True)
class Net:
    """Nodes and edges of one experiment. Edges are sorted by group and by tail."""

    service: Places
    """Of each node."""
    whole: Flags
    """Of each node: whether it stands for its service as a whole."""
    owner: dict[int, str]
    """Node that is a check's own copy of a service → the check."""
    tail: Places
    head: Places
    edge: Places
    """Of each edge: its number in the system; -1 for what only joins the ways of a check."""
    design: Floats
    """``HARD``, ``SOFT`` or ``UNSAID``."""
    timed: Flags
    """Whether time is added up along it."""
    groups: tuple[Group, ...]
    roots: dict[str, int]
    """Check → the node that stands for what its users get."""
    active: frozenset[int]
    """Services that are struck, or can feel it."""


def net(checks: Sequence[Check], blows: Blows, topology: Topology) -> Net:
    """The graph for these checks and what is struck."""
    struck = {*blows.services, *(int(topology.caller[number]) for number in blows.edges)}
    active = topology.upstream(struck)
    builder = _Builder(topology, blows, active)
    for number in sorted(active):
        for edge in topology.edges_out[number]:
            builder.add(number, int(topology.callee[edge]), edge, builder.usual(edge))
    for check in checks:
        builder.check(check)
    return builder.built()


class _Builder:
    def __init__(self, topology: Topology, blows: Blows, active: frozenset[int]) -> None:
        self._topology = topology
        self._struck = set(blows.edges)
        self._active = active
        self._service = list(range(len(topology.index)))
        self._owner: dict[int, str] = {}
        self._rank = (2 * topology.level).tolist()
        self._top = 2 * int(topology.level.max(initial=0)) + 2
        self._edges: list[tuple[int, int, int, float]] = []
        self._roots: dict[str, int] = {}
        self._needed = _needed(topology.system)

    def usual(self, edge: int) -> float:
        """Whether a service is meant to fail without one that it calls, by what its own operations say they need."""
        known = self._topology.system.dependencies[edge]
        needs = self._needed.get(known.caller)
        if needs is not None:
            return HARD if self._leads(int(self._topology.callee[edge]), needs) else SOFT
        return UNSAID if known.fallback is None else SOFT if known.fallback else HARD

    def add(self, tail: int, head: int, edge: int, design: float) -> None:
        """Keep an edge if something can be felt along it."""
        if edge in self._struck or self._service[head] in self._active:
            self._edges.append((tail, head, edge, design))

    def check(self, check: Check) -> None:
        """Copies of the services on a check's way, and the node that stands for it."""
        known = self._topology.index.get(check.service)
        if known is None:
            return
        ends = self._copies(check) if check.exercises is not None else self._shortcut(check, known)
        entries = [ends[name] for name in _entries(check, tuple(ends))]
        beyond = self._topology.downstream([known])
        for name in check.needs or ():  # asked through another, a balancer say, which no edge shows
            number = self._topology.index.get(name)
            if number is not None and name not in ends and check.exercises is None and number not in beyond:
                entries.append(number)
        root = self._node(known)
        self._roots[check.id] = root
        for entry in entries:
            self._edges.append((root, entry, -1, HARD))

    def _copies(self, check: Check) -> dict[str, int]:
        places_ = [place for place in check.exercises or () if place in self._topology.edge_index]
        names = dict.fromkeys([check.service, *(end for place in places_ for end in place.split("->"))])
        ends = {name: self._node(self._topology.index[name], check.id) for name in names}
        for place in places_:
            caller, _, callee = place.partition("->")
            edge = self._topology.edge_index[place]
            self.add(ends[caller], ends[callee], edge, self._meant(check, edge))
        return ends

    def _shortcut(self, check: Check, service: int) -> dict[str, int]:
        """Of a check of which nobody knows what it exercises only the first calls are its own."""
        here = self._node(service, check.id)
        for edge in self._topology.edges_out[service]:
            self.add(here, int(self._topology.callee[edge]), edge, self._meant(check, edge))
        return {check.service: here}

    def _meant(self, check: Check, edge: int) -> float:
        if check.needs is None:
            fallback = self._topology.system.dependencies[edge].fallback
            return UNSAID if fallback is None else SOFT if fallback else HARD
        return HARD if self._leads(int(self._topology.callee[edge]), frozenset(check.needs)) else SOFT

    def _leads(self, callee: int, needs: frozenset[str]) -> bool:
        """Whether the callee is needed, or a balancer before what is."""
        service = self._topology.system.services[callee]
        if service.name in needs:
            return True
        behind = self._topology.edges_out[callee] if service.kind is ServiceKind.LOAD_BALANCER else ()
        return any(self._topology.system.dependencies[edge].callee in needs for edge in behind)

    def _node(self, service: int, check: str | None = None) -> int:
        """A copy of a service for a check; without one, what stands above all."""
        node = len(self._service)
        self._service.append(service)
        if check is not None:
            self._owner[node] = check
        self._rank.append(self._top if check is None else 2 * int(self._topology.level[service]) + 1)
        return node

    def built(self) -> Net:
        tail, head, edge = (places([each[part] for each in self._edges]) for part in range(3))
        design = np.array([each[3] for each in self._edges], dtype=np.float64)
        rank = places(self._rank)
        order = np.lexsort((head, tail, rank[tail] if len(tail) else tail))
        tail, head, edge, design = tail[order], head[order], edge[order], design[order]
        closing = np.append(self._topology.closing, False)
        return Net(
            service=places(self._service),
            whole=np.arange(len(self._service)) < len(self._topology.index),
            owner=self._owner,
            tail=tail,
            head=head,
            edge=edge,
            design=design,
            timed=~closing[edge],
            groups=tuple(_groups(tail, head, rank)),
            roots=self._roots,
            active=self._active,
        )


def _groups(tail: Places, head: Places, rank: Places) -> Iterator[Group]:
    if not len(tail):
        return
    ranks = rank[tail]
    bounds = np.flatnonzero(np.diff(ranks, prepend=-1, append=-2))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        tails, starts = np.unique(tail[begin:end], return_index=True)
        loops = bool((rank[head[begin:end]] == ranks[begin]).any())
        yield Group(slice(begin, end), tails, places(starts), loops)


def _entries(check: Check, names: Sequence[str]) -> Iterable[str]:
    """Where a check's way begins: its own service, or what leads there without being called by the others."""
    called = {place.partition("->")[2] for place in check.exercises or ()}
    return [name for name in names if name not in called] or [check.service]


def _needed(system: System) -> dict[str, frozenset[str]]:
    """Of each service: what some operation of its own needs; only where one says so."""
    found: dict[str, frozenset[str]] = {}
    for service in system.services:
        if (told := _told(service)) is not None:
            found[service.name] = told
    return found


def _told(service: Service) -> frozenset[str] | None:
    said = [check.needs for check in service.operations if check.needs is not None]
    return frozenset(name for needs in said for name in needs) if said else None
