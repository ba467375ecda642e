"""What a hypothesis is about in terms that different systems share, so that one can learn from another."""

from __future__ import annotations

from dataclasses import dataclass

from executor.model.system import Service, System
from executor.model.vocabulary import ServiceKind, Weakness


@dataclass(frozen=True)
class Features:
    """A weakness at a place, described. An edge is described by both ends, a service by itself as callee."""

    weakness: Weakness
    system: str
    place: str
    shape: str
    """``edge`` or ``service``."""
    kind: str
    """Of the callee, or of the service."""
    technology: str
    """Of the callee, or of the service; empty: not known."""
    caller_kind: str = ""
    caller_technology: str = ""
    protocol: str = ""
    """Spoken on the edge; of a service: by its callers, if they all speak one."""
    role: str = ""
    """Position in the graph: ``entry`` (nobody calls it), ``leaf`` (calls nobody), ``hub`` (many call it), ``middle``,
    ``balancer`` or ``alone``."""
    criticality: int = 1
    """Of the callee, or of the service: 0 nobody notices … 3 the business stops."""
    caller_criticality: int = 0
    fan_in: int = 0
    fan_out: int = 0
    instances: int = 1
    fault_types: tuple[str, ...] = ()
    """Types of the faults that were, or would be, used; empty: any."""
    text: str = ""
    """Statement, fault and reason in words."""

    def document(self) -> str:
        """The text that is embedded: a ``key=value`` line for each known fact, then the words."""
        facts = {
            "weakness": self.weakness.value,
            "shape": self.shape,
            "kind": self.kind,
            "technology": self.technology,
            "caller_kind": self.caller_kind,
            "caller_technology": self.caller_technology,
            "protocol": self.protocol,
            "role": self.role,
            "criticality": str(self.criticality),
            "redundant": "yes" if self.instances > 1 else "no",
        }
        lines = [f"{key}={value}" for key, value in facts.items() if value]
        lines += [f"fault={name}" for name in self.fault_types]
        return "\n".join((*lines, self.text))


HUB_CALLERS = 3
"""From so many callers on a service is a hub."""


def describe(
    system: System, weakness: Weakness, place: str, *, fault_types: tuple[str, ...] = (), text: str = ""
) -> Features:
    """The features of a weakness at a service or an edge. What the system does not know is left empty."""
    caller_name, _, callee_name = place.rpartition("->")
    services = {service.name: service for service in system.services}
    callee = services.get(callee_name) or Service(name=callee_name)
    caller = services.get(caller_name)
    edge = next((known for known in system.dependencies if known.place == place), None)
    incoming = {known.caller for known in system.dependencies if known.callee == callee_name}
    outgoing = {known.callee for known in system.dependencies if known.caller == callee_name}
    spoken = {known.protocol for known in system.dependencies if known.callee == callee_name}
    protocol = edge.protocol if edge else next(iter(spoken)) if len(spoken) == 1 else ""
    return Features(
        weakness=weakness,
        system=system.name,
        place=place,
        shape="edge" if caller_name else "service",
        kind=callee.kind.value,
        technology=callee.technology or "",
        caller_kind=caller.kind.value if caller else "",
        caller_technology=(caller.technology or "") if caller else "",
        protocol=protocol,
        role=_role(callee, len(incoming), len(outgoing)),
        criticality=callee.criticality,
        caller_criticality=caller.criticality if caller else 0,
        fan_in=len(incoming),
        fan_out=len(outgoing),
        instances=len(callee.instances),
        fault_types=fault_types,
        text=text,
    )


def _role(service: Service, callers: int, callees: int) -> str:
    if service.kind is ServiceKind.LOAD_BALANCER:
        return "balancer"
    if not callers:
        return "entry" if callees else "alone"
    if callers >= HUB_CALLERS:
        return "hub"
    return "middle" if callees else "leaf"
