"""Faults on edges, and what a cold cache does to those who ask it: added to what the callee answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from executor.model.vocabulary import FaultType, Weakness
from knowledge.twin.arrays import Floats
from knowledge.twin.blows import Blows
from knowledge.twin.manner import Manner
from knowledge.twin.net import Net
from knowledge.twin.state import State
from knowledge.twin.topology import Topology
from knowledge.twin.ways import Ways
from knowledge.twin.worlds import Worlds

OVERLOADED = Manner(FaultType.COLD, error=0.1, slow_share=1.0, slow_ms=2_000.0)
"""What a caller sees where what stands behind a cold cache cannot carry the load."""
DISCONNECTED = Manner(FaultType.SESSIONS_LOST, error=1.0)
"""What a caller sees that does not connect anew after its connections were cut once."""
REFILLED = Manner(FaultType.COLD, delay_ms=30.0)
"""What it sees where it can."""


@dataclass(frozen=True)
class EdgeFaults:
    """By place of the edge in the net: (share of worlds in which it holds: (worlds,), what it does)."""

    struck: Mapping[int, Sequence[tuple[Floats, Manner]]]
    worlds: int

    def on(self, edges: slice, callee: State) -> State:
        """What the callers of these edges see of their callees."""
        for place in range(edges.start, edges.stop):
            for holds, done in self.struck.get(place, ()):
                _add(callee, place - edges.start, holds, done)
        return callee

    def through(self, edges: int) -> Floats:
        """Share of the calls on each edge of the net that get as far as the callee: shape (edges, worlds)."""
        found = np.ones((edges, self.worlds))
        for place, felt in self.struck.items():
            for holds, done in felt:
                found[place] *= 1 - (done.error + done.silent) * holds
        return found


def edge_faults(net: Net, ways: Ways, blows: Blows, topology: Topology, worlds: Worlds) -> EdgeFaults:
    """Where in the net the experiment's faults are."""
    always = np.ones(worlds.count)
    by_edge: dict[int, list[tuple[Floats, Manner]]] = {
        number: [(always, done) for done in made] for number, made in blows.edges.items()
    }
    for service, felt in blows.services.items():
        if any(blow.manner.once for blow in felt):
            for edge in topology.edges_in[service]:
                never = np.isinf(ways.reconnect_s.get(edge, always)).astype(np.float64)
                by_edge.setdefault(edge, []).append((never, DISCONNECTED))
        if any(blow.manner.type is FaultType.COLD for blow in felt):
            for edge in topology.edges_in[service]:
                place = topology.system.dependencies[edge].place
                overloaded = worlds.present(Weakness.COLD_CACHE_OVERLOAD, [place])[0].astype(np.float64)
                by_edge.setdefault(edge, []).extend(((overloaded, OVERLOADED), (1 - overloaded, REFILLED)))
    places = {place: by_edge[number] for place, number in enumerate(net.edge.tolist()) if number in by_edge}
    return EdgeFaults(places, worlds.count)


def _add(callee: State, row: int, holds: Floats, done: Manner) -> None:
    """Faults on an edge meet a call before its callee does: what they fail does not get there."""
    error, silent = done.error * holds, done.silent * holds
    through = 1 - error - silent
    callee.good[row] *= through
    callee.silent[row] = callee.silent[row] * through + silent
    callee.delay_ms[row] += done.delay_ms * holds
    share = done.slow_share * holds
    both = 1 - (1 - callee.slow_share[row]) * (1 - share)
    expected = callee.slow_share[row] * callee.slow_ms[row] + share * done.slow_ms
    callee.slow_ms[row] = np.divide(expected, both, out=np.zeros_like(both), where=both > 0)
    callee.slow_share[row] = both
