"""How each caller treats each callee, in each world: time-outs, further tries, breakers, shared threads, fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from executor.model.system import Dependency
from executor.model.vocabulary import FaultType, Weakness
from knowledge.sensitivity import SENSITIVITY
from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.blows import Blows
from knowledge.twin.parameters import Parameters
from knowledge.twin.topology import Topology
from knowledge.twin.worlds import Worlds

WRONG = frozenset({FaultType.SERVER_ERROR, FaultType.CLIENT_ERROR, FaultType.MALFORMED})
_LATE = frozenset({FaultType.SLOW, FaultType.SLUGGISH, FaultType.LOCKED})
INVERTED = 0.3
"""A time-out that is too short for what the callee does about its own dependencies, as a share of a good one."""


@dataclass(frozen=True)
class Ways:
    """Of each edge that can be felt, in each world: shape (edges + 1, worlds).

    The last row is of what is no call, and only joins the ways of a check: it waits, and never fails by itself.
    """

    row: dict[int, int]
    """Number of the edge in the system → its row here; -1 is the last row."""
    timeout_ms: Floats
    """Per try; infinite where there is none."""
    retries: Floats
    breaker: Flags
    shared: Flags
    """Whether calls that wait hold threads that the caller's other work needs."""
    brittle: Flags
    """Whether the caller fails without the callee although it should not have to."""
    unsaid: Flags
    """The same where nobody says whether it should."""
    reconnect_s: dict[int, Floats]
    """Number of an edge that is struck, or whose callee is → from the end of that until the caller uses it again,
    seconds: (worlds,); infinite: never."""
    breaker_s: Floats
    """Until a breaker that has opened lets calls through again: (worlds,)."""


def ways(numbers: Sequence[int], blows: Blows, topology: Topology, worlds: Worlds, parameters: Parameters) -> Ways:
    """Draw them for the edges of these numbers."""
    edges = [topology.system.dependencies[number] for number in numbers]
    names = [edge.place for edge in edges]
    shape = (len(edges), worlds.count)

    def present(weakness: Weakness) -> Flags:
        return worlds.present(weakness, names)

    types = [_failing(_met(number, blows, topology)) for number in numbers]
    brittle = present(Weakness.HARD_DEPENDENCY) & _felt(Weakness.HARD_DEPENDENCY, types, worlds, parameters)
    graceless = present(Weakness.NO_GRACEFUL_DEGRADATION)
    graceless &= _felt(Weakness.NO_GRACEFUL_DEGRADATION, types, worlds, parameters)
    brittle |= graceless & np.array([type_ in WRONG for type_ in types], dtype=np.bool_)[:, None]
    breaker = ~present(Weakness.MISSING_CIRCUIT_BREAKER)
    breaker &= np.array([edge.breaker is not False for edge in edges], dtype=np.bool_)[:, None]
    unsaid = brittle | (worlds.uniform(len(edges)) < _hard_unsaid(names, worlds, parameters)[:, None])
    return Ways(
        row={number: row for row, number in enumerate(numbers)} | {-1: len(edges)},
        timeout_ms=_joined(_timeouts(edges, present, worlds, parameters, shape), np.inf),
        retries=_joined(_retries(edges, present, worlds, parameters, shape), 0.0),
        breaker=_joined(breaker, False),
        shared=_joined(present(Weakness.MISSING_BULKHEAD), False),
        brittle=_joined(brittle, True),
        unsaid=_joined(unsaid, True),
        reconnect_s={
            number: _reconnect(number, blows, topology, worlds, parameters)
            for number in numbers
            if number in blows.edges or int(topology.callee[number]) in blows.services
        },
        breaker_s=parameters.breaker_s.draw(worlds.random, (worlds.count,)),
    )


Present = Callable[[Weakness], Flags]


def _timeouts(
    edges: Sequence[Dependency], present: Present, worlds: Worlds, parameters: Parameters, shape: tuple[int, int]
) -> Floats:
    found = parameters.timeout_ms.draw(worlds.random, shape)
    for row, edge in enumerate(edges):
        known = parameters.timeouts_ms.get(edge.place, edge.timeout_ms)
        if known:
            found[row] = known
    found = np.where(present(Weakness.TIMEOUT_INVERSION), INVERTED * found, found)
    return np.where(present(Weakness.MISSING_TIMEOUT), np.inf, found)


def _retries(
    edges: Sequence[Dependency], present: Present, worlds: Worlds, parameters: Parameters, shape: tuple[int, int]
) -> Floats:
    found = np.rint(parameters.retries.draw(worlds.random, shape))
    for row, edge in enumerate(edges):
        if edge.retries is not None:
            found[row] = edge.retries
    found = np.where(present(Weakness.MISSING_RETRY), 0.0, found)
    storm = np.rint(parameters.storm_retries.draw(worlds.random, shape))
    return np.where(present(Weakness.RETRY_STORM), np.maximum(storm, found), found)


def _reconnect(number: int, blows: Blows, topology: Topology, worlds: Worlds, parameters: Parameters) -> Floats:
    place, type_ = topology.system.dependencies[number].place, _met(number, blows, topology)
    never = worlds.present(Weakness.DOES_NOT_RECONNECT, [place])[0]
    never &= worlds.uniform(1)[0] < parameters.shows(Weakness.DOES_NOT_RECONNECT, (type_.value,))
    if type_ is FaultType.UNRESOLVED:
        never |= worlds.present(Weakness.STALE_NAME_RESOLUTION, [place])[0]
    return np.where(never, np.inf, parameters.reconnect_s.draw(worlds.random, (worlds.count,)))


def _hard_unsaid(names: Sequence[str], worlds: Worlds, parameters: Parameters) -> Floats:
    """Where something is believed of it as a hard dependency, that alone counts."""
    believed = [worlds.believed(Weakness.HARD_DEPENDENCY, name) is not None for name in names]
    return np.where(believed, 0.0, parameters.hard_unsaid)


Array = TypeVar("Array", Floats, Flags)


def _joined(rows: Array, last: float | bool) -> Array:
    """The rows, and one more that is the same in every world."""
    return np.vstack([rows, np.full((1, rows.shape[1]), last, dtype=rows.dtype)])


def _met(number: int, blows: Blows, topology: Topology) -> FaultType:
    """What the edge's caller sees of the fault: its type where the edge or its callee is struck, and errors beyond."""
    if number in blows.edges:
        return blows.edges[number][0].type
    felt = blows.services.get(int(topology.callee[number]))
    return felt[0].manner.type if felt else FaultType.SERVER_ERROR


def _failing(type_: FaultType) -> FaultType:
    """How a call fails: one that is late fails by a time-out, if it does, and then it is as if nothing came."""
    return FaultType.SILENT if type_ in _LATE else type_


def _felt(weakness: Weakness, types: Sequence[FaultType], worlds: Worlds, parameters: Parameters) -> Flags:
    """Whether a weakness that is there shows under this type of fault, compared with the type that shows it best."""
    best = max(SENSITIVITY[weakness].values(), default=1.0)
    chance = np.array([parameters.shows(weakness, (type_.value,)) / best for type_ in types])
    shows: Flags = worlds.uniform(len(types)) < np.minimum(1.0, chance)[:, None]
    return shows
