"""Along which dependencies a failure can have spread from one watched service to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from executor.model.plan import EdgeTarget, Experiment, InstanceTarget

Edge = tuple[str, str]
"""(caller, callee)."""


@dataclass(frozen=True)
class Way:
    """From a service down to the next one below of which something is known."""

    caller: str
    callee: str
    via: tuple[str, ...] = ()
    """Services between the two that nobody watches, the caller's own callee first."""

    @property
    def hops(self) -> int:
        """Calls from the one to the other."""
        return 1 + len(self.via)


def felt(edges: Iterable[Edge], experiment: Experiment) -> tuple[Edge, ...]:
    """The edges along which an experiment's faults may be felt: of what only edges are struck of, only these edges."""
    struck = {(a.target.caller, a.target.callee) for a in experiment.actions if isinstance(a.target, EdgeTarget)}
    whole = {a.target.service for a in experiment.actions if isinstance(a.target, InstanceTarget)}
    spared = {callee for _, callee in struck} - whole
    return tuple(edge for edge in edges if edge[1] not in spared or edge in struck)


def ways(edges: Iterable[Edge], known: Collection[str]) -> tuple[Way, ...]:
    """The shortest way between any two ``known`` services that passes none of the others."""
    callees: dict[str, list[str]] = {}
    for caller, callee in sorted(set(edges)):
        callees.setdefault(caller, []).append(callee)
    return tuple(way for name in sorted(known) for way in _below(name, callees, known))


def _below(name: str, callees: Mapping[str, list[str]], known: Collection[str]) -> Iterator[Way]:
    passed = {name}
    layer: list[tuple[str, tuple[str, ...]]] = [(name, ())]
    while layer:
        deeper: list[tuple[str, tuple[str, ...]]] = []
        for at, via in layer:
            for callee in callees.get(at, ()):
                if callee in passed:
                    continue
                passed.add(callee)
                if callee in known:
                    yield Way(name, callee, via)
                else:
                    deeper.append((callee, (*via, callee)))
        layer = deeper


def shortest(ways: Iterable[Way], struck: Collection[str]) -> dict[str, tuple[Way, int]]:
    """Of each service that ways lead to: the last one of its shortest row of them to what is struck, and its calls."""
    every = list(ways)
    hops = dict.fromkeys(struck, 0)
    found: dict[str, tuple[Way, int]] = {}
    for _ in every:
        for way in every:
            if way.callee in hops and way.caller not in struck:
                whole = hops[way.callee] + way.hops
                if whole < hops.get(way.caller, whole + 1):
                    hops[way.caller] = whole
                    found[way.caller] = (way, whole)
    return found
