"""What becomes of a struck service by itself: in each world, right after the fault came, and once that has settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from executor.model.system import Service
from executor.model.vocabulary import FaultType, ServiceKind, Weakness
from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.blows import GONE, Blow, Blows
from knowledge.twin.parameters import BASE_MS, BASE_MS_OTHERWISE, Parameters
from knowledge.twin.topology import Topology
from knowledge.twin.worlds import Worlds

COLLAPSE = 0.8
"""Share of requests that a service loses beyond its cliff."""
STARVED = 0.9
"""Share of requests that find no connection left where a pool is used up."""
PRESSED = frozenset(
    {
        FaultType.STARVED_CPU,
        FaultType.STARVED_MEMORY,
        FaultType.STARVED_DISK,
        FaultType.STARVED_HANDLES,
        FaultType.CONNECTIONS_TAKEN,
        FaultType.INTERMITTENT,
    }
)


@dataclass
class Own:
    """One service. Arrays are (worlds,)."""

    error: Floats
    silent: Floats
    delay_ms: Floats
    slow_share: Floats
    slow_ms: Floats
    load: Floats
    """Its load, as a multiple of what is usual."""

    @classmethod
    def nothing(cls, count: int) -> Own:
        """A service that is well."""
        none = [np.zeros(count) for _ in range(5)]
        return cls(none[0], none[1], none[2], none[3], none[4], np.ones(count))

    def add(self, blow: Blow, share: Floats, base_ms: float, parameters: Parameters) -> None:
        """Strike this share of its requests, on top of what there is."""
        done = blow.manner
        silent = done.silent * (parameters.shared_unsaid if done.type is FaultType.LOCKED else 1.0)
        self.error += (1 - self.error - self.silent) * done.error * share
        self.silent += (1 - self.error - self.silent) * silent * share
        late = done.delay_ms + (done.slower - 1) * base_ms
        self.delay_ms += np.where(share >= 1, late, 0.0)
        self._slow(np.where((share < 1) & (late > 0), share, 0.0), late)
        self._slow(done.slow_share * share, done.slow_ms)
        self.load += share * done.load_per_s / parameters.load_per_s

    def lose(self, share: Floats, *, silent: bool = False) -> None:
        """Lose this share of what is still answered."""
        left = 1 - self.error - self.silent
        if silent:
            self.silent += left * share
        else:
            self.error += left * share

    def _slow(self, share: Floats, late_ms: float) -> None:
        both = 1 - (1 - self.slow_share) * (1 - share)
        expected = self.slow_share * self.slow_ms + share * late_ms
        self.slow_ms = np.divide(expected, both, out=np.zeros_like(both), where=both > 0)
        self.slow_share = both


@dataclass(frozen=True)
class Struck:
    """All struck services, in both states."""

    at_once: Mapping[int, Own]
    settled: Mapping[int, Own]
    settled_s: Floats
    """When the second state begins, seconds after the fault came: (worlds,)."""
    back_s: Mapping[int, Floats]
    """Service → until it serves again after the fault has ended, seconds: (worlds,)."""


def strike(blows: Blows, topology: Topology, worlds: Worlds, parameters: Parameters, fault_s: float) -> Struck:
    """Draw what becomes of every struck service."""
    at_once: dict[int, Own] = {}
    settled: dict[int, Own] = {}
    back_s: dict[int, Floats] = {}
    waits: list[Floats] = []
    for number in sorted(blows.services):
        service = topology.system.services[number]
        at_once[number], settled[number] = Own.nothing(worlds.count), Own.nothing(worlds.count)
        back_s[number] = np.zeros(worlds.count)
        base_ms = base(service, parameters)
        for blow in blows.services[number]:
            first, later, wait_s, back = _course(blow, number, topology, worlds, parameters, fault_s)
            at_once[number].add(blow, first, base_ms, parameters)
            settled[number].add(blow, later, base_ms, parameters)
            back_s[number] = np.maximum(back_s[number], back)
            waits.append(wait_s)
            presses = _presses(blow, service, worlds, parameters) + _unsure(blow, base_ms, worlds, parameters)
            for own in (at_once[number], settled[number]):
                for share, silent in presses:
                    own.lose(share, silent=silent)
                if blow.left:
                    own.load = own.load / (1 - blow.share)
    settled_s = np.max(waits, axis=0) if waits else parameters.eject_s.draw(worlds.random, (worlds.count,))
    return Struck(at_once, settled, settled_s, back_s)


def base(service: Service, parameters: Parameters) -> float:
    """Its usual time to answer, milliseconds."""
    return parameters.base_ms.get(service.name, BASE_MS.get(service.kind, BASE_MS_OTHERWISE))


def _course(
    blow: Blow, number: int, topology: Topology, worlds: Worlds, parameters: Parameters, fault_s: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """The share of its requests that it strikes at once and later, when that begins, and how long it takes to be back.

    Where instances are left they take over, unless the service is a single point of failure all the same, or who shares
    the work out keeps the dead one. What only slows an instance down does not take it out of rotation.
    """
    service = topology.system.services[number]
    name, type_ = service.name, blow.manner.type
    shape = (worlds.count,)
    slow = worlds.present(Weakness.SLOW_OR_MISSING_RECOVERY, [name])[0]
    slow &= worlds.uniform(1)[0] < parameters.shows(Weakness.SLOW_OR_MISSING_RECOVERY, (type_.value,))
    restart_s = np.where(
        slow, parameters.slow_restart_s.draw(worlds.random, shape), parameters.restart_s.draw(worlds.random, shape)
    )
    eject_s = parameters.eject_s.draw(worlds.random, shape)
    noticed = type_ in GONE or blow.manner.error >= 1 or blow.manner.silent >= 1
    back_s = restart_s if type_ in GONE else np.where(slow, restart_s, 0.0)
    lost = worlds.present(Weakness.SINGLE_POINT_OF_FAILURE, [name])[0]
    if not noticed:
        return np.full(shape, blow.share), np.full(shape, blow.share), eject_s, back_s
    if blow.left:
        kept = _kept(number, topology, worlds)
        later = np.where(lost, 1.0, np.where(kept, blow.share, 0.0))
        return np.where(lost, 1.0, blow.share), later, eject_s, back_s
    there = np.where(lost, 1.0, 0.0)
    if blow.returns:
        return there, np.zeros(shape), restart_s, np.maximum(0.0, restart_s - fault_s)
    return there, there, eject_s, back_s


def _kept(number: int, topology: Topology, worlds: Worlds) -> Flags:
    """Whether somebody who shares work out goes on giving it to a member that does not answer."""
    system = topology.system
    found = np.zeros(worlds.count, dtype=np.bool_)
    for edge in (system.dependencies[each] for each in topology.edges_in[number]):
        balancer = system.services[topology.index[edge.caller]].kind is ServiceKind.LOAD_BALANCER
        for place in (edge.caller, edge.place):
            if worlds.believed(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, place) or (balancer and place == edge.caller):
                found |= worlds.present(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, [place])[0]
    return found


def _presses(blow: Blow, service: Service, worlds: Worlds, parameters: Parameters) -> list[tuple[Floats, bool]]:
    """(share of requests lost, whether they wait in vain) of what lacks what it needs, or has no connections left."""
    found = []
    for weakness, types, share in (
        (Weakness.CAPACITY_CLIFF, PRESSED, COLLAPSE),
        (Weakness.POOL_EXHAUSTION, frozenset({FaultType.CONNECTIONS_TAKEN}), STARVED),
    ):
        if blow.manner.type in types:
            present = worlds.present(weakness, [service.name])[0]
            shows = parameters.shows(weakness, (blow.manner.type.value,))
            lost = (present & (worlds.uniform(1)[0] < shows)) * share * blow.share
            found.append((lost, weakness is Weakness.POOL_EXHAUSTION))
    return found


def _unsure(blow: Blow, base_ms: float, worlds: Worlds, parameters: Parameters) -> list[tuple[Floats, bool]]:
    """The same of what the fault alone does not tell: whether the code minds, and how many connections are wanted."""
    found = []
    if blow.manner.odd:
        found.append(((worlds.uniform(1)[0] < blow.manner.odd) * blow.share, False))
    if blow.manner.places:
        busy = parameters.load_per_s * base_ms / 1000
        wanted = np.maximum(1.0, busy) * parameters.connections.draw(worlds.random, (worlds.count,))
        found.append((np.clip(1 - blow.manner.places / wanted, 0.0, 1.0) * blow.share, False))
    return found
