"""What the person asked for and what can be done here, over one fault on one target."""

from __future__ import annotations

from fnmatch import fnmatchcase

from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.system import Dependency
from experts.brief import Brief
from experts.view import View


def struck(target: Target) -> tuple[str, ...]:
    """Services that the target touches: the service itself, or all ends of the edges."""
    if isinstance(target, InstanceTarget):
        return (target.service,)
    if isinstance(target, EdgeTarget):
        return (target.caller, target.callee)
    return (*target.a, *target.b)


def hit(target: Target) -> tuple[str, ...]:
    """Services that suffer directly: on an edge its caller, while the callee keeps serving others."""
    return (target.caller,) if isinstance(target, EdgeTarget) else struck(target)


def target_name(target: Target) -> str:
    """``catalog`` for instances, ``storefront->catalog`` for an edge, ``a,b|c`` for groups."""
    if isinstance(target, InstanceTarget):
        return target.service
    if isinstance(target, EdgeTarget):
        return f"{target.caller}->{target.callee}"
    return f"{','.join(target.a)}|{','.join(target.b)}"


def place_wanted(place: str, brief: Brief) -> bool:
    """Whether the person asked about this place."""
    services = brief.constraints.services
    ends = place.split("->")
    return not services or any(end in services for end in ends)


def why_not(fault: Fault, target: Target, brief: Brief, view: View | None = None) -> str:
    """Why this may not or cannot be done, in one sentence; empty when it can.

    ``view`` spares making the brief's own one anew.
    """
    seen = view or View(brief.system)
    return _missing(target, seen) or _excluded(fault, target, brief, seen) or _impossible(fault, target, brief, seen)


def _missing(target: Target, view: View) -> str:
    unknown = [name for name in struck(target) if view.service(name) is None]
    if unknown:
        return f"the system has no service {', '.join(unknown)}"
    if isinstance(target, EdgeTarget):
        if view.edge(target_name(target)) is None:
            return f"the system has no edge {target_name(target)}"
    elif isinstance(target, InstanceTarget):
        here = view.one(target.service).instances
        strangers = set(target.ids) - {instance.id for instance in here}
        if strangers:
            return f"{target.service} has no instance {', '.join(sorted(strangers))}"
        if not here or target.count > len(here):
            return f"{target.service} has {len(here)} instances"
    return ""


def _excluded(fault: Fault, target: Target, brief: Brief, view: View) -> str:
    limits, kind = brief.constraints, fault.kind
    touched = struck(target)
    for name in touched:
        if name in limits.excluded_services:
            return f"{name} is excluded"
    for name in hit(target):
        if view.one(name).protected:
            return f"{name} is protected"
    if limits.services and not any(name in limits.services for name in touched):
        return f"{target_name(target)} is outside {', '.join(limits.services)}"
    if left := fault.leaves():
        return f"{left} would not be undone, so only a person may choose that {kind}"
    if not any(fnmatchcase(kind, glob) for glob in limits.allowed_faults):
        return f"{kind} is not among the allowed faults"
    if any(fnmatchcase(kind, glob) for glob in limits.excluded_faults):
        return f"{kind} is excluded"
    return ""


def _impossible(fault: Fault, target: Target, brief: Brief, view: View) -> str:
    what = f"{fault.kind} at {target_name(target)}"
    for known, reason in brief.unsupported:
        if fnmatchcase(what, known):
            return f"{what} cannot be done here: {reason}"
    if any(edge.interception is None for edge in _edges(target, view)):
        return f"{what} cannot be done here: traffic on the edge cannot be reached"
    return ""


def _edges(target: Target, view: View) -> list[Dependency]:
    if isinstance(target, InstanceTarget):
        return []
    if isinstance(target, EdgeTarget):
        edge = view.edge(target_name(target))
        return [edge] if edge else []
    a, b = {*target.a}, {*target.b}
    return [
        edge
        for edge in view.system.dependencies
        if (edge.caller in a and edge.callee in b) or (edge.caller in b and edge.callee in a)
    ]
