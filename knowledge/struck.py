"""Which calls a fault fails or delays, and how much of a service it leaves to answer."""

from __future__ import annotations

from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import System

Edge = tuple[str, str]
"""(caller, callee)."""


class LookedUp:
    """What was looked up of a system: every check of thousands asks the same of it, once for each question."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.above: dict[str, frozenset[str]] = {}
        """By service: it and everything that reaches it through calls, where that was asked."""
        self.callers: dict[str, list[str]] = {}
        for edge in system.dependencies:
            self.callers.setdefault(edge.callee, []).append(edge.caller)


_last: list[LookedUp] = []


def looked_up(system: System) -> LookedUp:
    """Kept for the system that was asked about last."""
    known = next((each for each in _last if each.system is system), None)
    if known is None:
        known = LookedUp(system)
        _last[:] = [known]
    return known


def struck_edges(target: Target, system: System) -> tuple[Edge, ...]:
    """The edges whose calls a fault on the target fails or delays: those into a struck service, or the named ones."""
    callers = looked_up(system).callers
    if isinstance(target, InstanceTarget):
        return tuple((caller, target.service) for caller in callers.get(target.service, ()))
    if isinstance(target, EdgeTarget):
        return tuple((c, target.callee) for c in callers.get(target.callee, ()) if c == target.caller)
    pairs = [(edge.caller, edge.callee) for edge in system.dependencies]
    return tuple(pair for pair in pairs if _between(target, pair))


def struck_share(target: Target, system: System) -> float:
    """Share of a struck service's instances, above 0 and at most 1; 1 for edges, and where no instance is known."""
    if not isinstance(target, InstanceTarget):
        return 1.0
    known = next((len(service.instances) for service in system.services if service.name == target.service), 0)
    return min(1.0, (len(set(target.ids)) or target.count) / known) if known else 1.0


def used_edges(check: Check, system: System) -> tuple[str, ...]:
    """Places of the edges that asking the check uses, as seen; where nobody looked, all that it could use."""
    if check.exercises is not None:
        return check.exercises
    out: dict[str, list[tuple[str, str]]] = {}
    for edge in system.dependencies:
        out.setdefault(edge.caller, []).append((edge.place, edge.callee))
    found: list[str] = []
    ahead, seen = [check.service], {check.service}
    while ahead:
        for place, callee in out.get(ahead.pop(), ()):
            found.append(place)
            if callee not in seen:
                seen.add(callee)
                ahead.append(callee)
    return tuple(found)


def _between(target: GroupsTarget, pair: Edge) -> bool:
    return (pair[0] in target.a and pair[1] in target.b) or (pair[0] in target.b and pair[1] in target.a)
