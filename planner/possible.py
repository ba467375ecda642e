"""What can be done to a place of a system, here and now, and why not where not. Resolves targets; changes nothing."""

from __future__ import annotations

from typing import Any

from executor.drivers import process
from executor.drivers.resolve import resolve
from executor.errors import InputError, MurphyError, UnavailableError
from executor.faults.behaviour import Resolved
from executor.faults.registry import behaviour
from executor.model.faults import SPECS, FaultSpec
from executor.model.plan import EdgeTarget, InstanceTarget
from executor.model.system import System

_TYPICAL: dict[str, dict[str, Any]] = {
    "service.slowdown": {"cpu_percent": 20},
    "network.latency": {"delay_ms": 3000},
    "resource.cpu": {"load_percent": 90},
    "resource.memory": {"bytes": 256 * 2**20},
    "resource.connections": {"count": 50},
}


def possible(system: System, place: str) -> dict[str, str]:
    """Each fault that a service or an edge (``caller->callee``) takes, with why it cannot be done; empty: it can.

    Raises ``InputError`` for a place that the system has not.
    """
    caller, _, callee = place.partition("->")
    known = {service.name for service in system.services}
    for name in filter(None, (caller, callee)):
        if name not in known:
            raise InputError(
                f"the system has no service {name}.", where=place, hint=f"It has {', '.join(sorted(known))}."
            )
    target = EdgeTarget(caller=caller, callee=callee) if callee else InstanceTarget(service=caller)
    found: tuple[Resolved, ...] = ()
    gone = ""
    try:
        found = resolve(target, system)  # looks at every process there is, so once for all faults
    except MurphyError as error:
        gone = str(error)
    return {
        _kind(spec): _why_not(typical(spec, system, caller), found, gone)
        for spec in SPECS
        if spec.target_kind == target.kind
    }


def typical(spec: type[FaultSpec], system: System, service: str) -> FaultSpec | None:
    """A fault of that kind with parameters as one would choose them; ``None`` where the service lacks what it needs."""
    parameters = dict(_TYPICAL.get(_kind(spec), {}))
    if _kind(spec) == "data.lock":
        tables = system.service(service).tables
        if not tables:
            return None
        parameters["table"] = tables[0]
    return spec.model_validate(parameters)


def absent(system: System) -> str:
    """Why nothing of a system that has instances can be struck; empty if one of their processes runs."""
    instances = [instance for service in system.services for instance in service.instances]
    for instance in instances:
        try:
            process.find(instance)
        except UnavailableError:
            continue
        return ""
    return f"no process of its {len(instances)} instances runs; start it, or discover it again" if instances else ""


def _why_not(fault: FaultSpec | None, found: tuple[Resolved, ...], gone: str) -> str:
    if fault is None:
        return "no table is known; name the tables in system.yaml."
    if gone:
        return gone
    try:
        reasons = [behaviour(_kind(type(fault))).unsupported(fault, target) for target in found]
    except MurphyError as error:
        return str(error)
    return next((reason for reason in reasons if reason), "")


def _kind(spec: type[FaultSpec]) -> str:
    return str(spec.model_fields["kind"].default)
