"""Which checks feel what: from what they were seen to exercise, or else from who can reach whom."""

from __future__ import annotations

from collections.abc import Iterable

from executor.model.plan import InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import ServiceKind
from knowledge.struck import Edge as Edge
from knowledge.struck import looked_up
from knowledge.struck import struck_edges as struck_edges


def checks_of(system: System) -> tuple[Check, ...]:
    """Every operation of the system, in its order."""
    return tuple(check for service in system.services for check in service.operations)


def upstream(system: System, service: str) -> frozenset[str]:
    """The service and everything that reaches it through calls."""
    known = looked_up(system)
    if service not in known.above:
        found, fresh = {service}, [service]
        while fresh:
            for caller in known.callers.get(fresh.pop(), ()):
                if caller not in found:
                    found.add(caller)
                    fresh.append(caller)
        known.above[service] = frozenset(found)
    return known.above[service]


def exercises(check: Check, edge: Edge, system: System) -> bool:
    """Whether asking the check sends calls over the edge, as seen; where nobody looked, whether it could."""
    if check.exercises is None:
        return check.service in upstream(system, edge[0])
    return f"{edge[0]}->{edge[1]}" in check.exercises


def struck_whole(target: Target, system: System) -> bool:
    """Whether nothing of what is struck goes on answering: no instance of the service is left alone."""
    if not isinstance(target, InstanceTarget):
        return True
    struck = len(set(target.ids)) or target.count
    return struck >= len(system.service(target.service).instances)


def feels(check: Check, target: Target, system: System) -> bool:
    """Whether a fault on the target can reach the check's users.

    A check may ask its service through another, a load balancer say: no edge shows that, its ``needs`` do.
    """
    if isinstance(target, InstanceTarget) and target.service in (check.service, *(check.needs or ())):
        return True
    return any(exercises(check, edge, system) for edge in struck_edges(target, system))


def related_places(target: Target, system: System) -> frozenset[str]:
    """The places that a fault on the target may say something about: struck services and edges, and who calls them."""
    edges = struck_edges(target, system)
    places = {f"{caller}->{callee}" for caller, callee in edges} | {caller for caller, _ in edges}
    return frozenset(places | ({target.service} if isinstance(target, InstanceTarget) else set()))


def may_suffer(check: Check, target: Target, system: System) -> bool:
    """Whether the check's users could be hurt by what the fault does to those who call what is struck.

    A caller that waits may run out of threads, and then it fails everybody, also those who never needed the callee.
    """
    waiting = {caller for caller, _ in struck_edges(target, system)}
    if feels(check, target, system) or check.service in waiting:
        return True
    if check.exercises is None:
        return any(check.service in upstream(system, service) for service in waiting)
    return any(edge.partition("->")[2] in waiting for edge in check.exercises)


def witnesses(edge: Edge, target: Target, system: System) -> tuple[Check, ...]:
    """Checks whose failing speaks of this edge and of no other struck one. Empty if the target leaves the edge alone.

    A database that dies is lost to all its callers: what a page that needs two of them does says nothing of either.
    """
    struck = struck_edges(target, system)
    if edge not in struck:
        return ()
    others = [each for each in struck if each != edge]
    return tuple(
        check
        for check in checks_of(system)
        if exercises(check, edge, system) and not _blurred(check, edge, others, system)
    )


def soft(checks: Iterable[Check], callee: str, system: System) -> tuple[Check, ...]:
    """Those that by their owner's word should work without the callee.

    Whatever needs a service needs the load balancer before it, named or not.
    """
    needed = {callee}
    if system.service(callee).kind is ServiceKind.LOAD_BALANCER:
        needed.update(edge.callee for edge in system.dependencies if edge.caller == callee)
    return tuple(check for check in checks if check.needs is not None and not needed & set(check.needs))


def best(checks: Iterable[Check], service: str, most: int = 4) -> tuple[Check, ...]:
    """The few that tell most: the service's own first, then critical ones, then the fastest asked."""
    ranked = sorted(checks, key=lambda c: (c.service != service, not c.critical, -c.rate_hz, c.id))
    return tuple(ranked[:most])


def names(checks: Iterable[Check]) -> tuple[str, ...]:
    """Their ids."""
    return tuple(check.id for check in checks)


def _blurred(check: Check, edge: Edge, others: list[Edge], system: System) -> bool:
    if check.exercises is None:
        return bool(others) and check.service != edge[0]
    return any(exercises(check, other, system) for other in others)
