"""What can be done to a place of a system, here and now, and why not where not. Resolves targets; changes nothing."""

from __future__ import annotations

from executor.drivers import resolve
from executor.drivers.targets import Resolved
from executor.errors import InputError, MurphyError
from executor.faults.behaviour import why_not
from executor.faults.registry import behaviour
from executor.model.faults import SPECS, FaultSpec
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import Service, System


def possible(system: System, place: str) -> dict[str, str]:
    """Each fault that a service or an edge (``caller->callee``) takes, with why it cannot be done; empty: it can.

    An edge is also what a partition of its two ends cuts.

    Raises ``InputError`` for a place that the system has not.
    """
    caller, _, callee = place.partition("->")
    for name in filter(None, (caller, callee)):
        known_service(system, name, where=place)
    targets: tuple[Target, ...] = (InstanceTarget(service=caller),)
    if callee:
        targets = EdgeTarget(caller=caller, callee=callee), GroupsTarget(a=(caller,), b=(callee,))
    return {kind: reason for target in targets for kind, reason in _possible(system, target, caller).items()}


def _possible(system: System, target: Target, service: str) -> dict[str, str]:
    found: tuple[Resolved, ...] = ()
    gone = ""
    try:
        found = resolve.resolve(target, system)  # looks at every process there is, so once for all faults
    except MurphyError as error:
        gone = str(error)
    return {
        spec.named(): _why_not(spec, spec.typical(system.service(service)), found, gone)
        for spec in SPECS
        if spec.target_kind == target.kind
    }


def unsupported(system: System) -> tuple[tuple[str, str], ...]:
    """What cannot be done anywhere in the system, as a brief tells it: (fault kind at place, why)."""
    places = [service.name for service in system.services] + [edge.place for edge in system.dependencies]
    return tuple(
        (f"{kind} at {place}", reason[:400])
        for place in places
        for kind, reason in possible(system, place).items()
        if reason
    )


def known_service(system: System, name: str, *, where: str = "") -> Service:
    """The service of that name. Raises ``InputError`` that names those there are."""
    for service in system.services:
        if service.name == name:
            return service
    known = ", ".join(sorted(each.name for each in system.services))
    raise InputError(f"the system has no service {name}.", where=where, hint=f"It has {known}.")


def absent(system: System) -> str:
    """Why nothing of a system that has instances can be struck; empty if one of them runs."""
    instances = [(service, instance) for service in system.services for instance in service.instances]
    for service, instance in instances:
        try:
            resolve.found(service, instance)
        except MurphyError:
            continue
        return ""
    return f"none of its {len(instances)} instances runs; start it, or discover it again" if instances else ""


def _why_not(spec: type[FaultSpec], fault: FaultSpec | None, found: tuple[Resolved, ...], gone: str) -> str:
    if fault is None or gone:
        return gone or spec.lacks
    try:
        reasons = [why_not(behaviour(fault.kind), fault, target) for target in found]
    except MurphyError as error:
        return str(error)
    return next((reason for reason in reasons if reason), "")
