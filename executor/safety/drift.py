"""What changed in a system since it was planned for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from executor.errors import SafetyRefusalError
from executor.model.base import Contract
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System


def refuse_drift(plan: Plan, system: System, planned: System | None = None) -> None:
    """Raise ``SafetyRefusalError`` unless the system is the very one that was planned for.

    With the system as it was ``planned`` for, the refusal says what changed.
    """
    if plan.system_digest == digest(system):
        return
    known = planned is not None and digest(planned) == plan.system_digest
    changed = "; ".join(differences(planned, system)) if planned is not None and known else ""
    raise SafetyRefusalError(
        "system drift",
        measured=f"{system.name} is not as it was planned for" + (f" ({changed})" if changed else ""),
        limit="the very system that was planned for",
        hint="Discover it and plan again.",
    )


def differences(before: System, after: System) -> Iterator[str]:
    """What differs, in a few words each: services and edges that came, went or changed, and in which fields."""
    if (before.name, before.environment) != (after.name, after.environment):
        yield f"{before.name} in {before.environment} is now {after.name} in {after.environment}"
    services = ({s.name: s for s in before.services}, {s.name: s for s in after.services})
    edges = ({d.place: d for d in before.dependencies}, {d.place: d for d in after.dependencies})
    yield from _differences(*services)
    yield from _differences(*edges)


def _differences(before: Mapping[str, Contract], after: Mapping[str, Contract]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield f"{name} is gone"
        elif old is None:
            yield f"{name} is new"
        elif old != new:
            fields = [field for field in type(new).model_fields if getattr(old, field) != getattr(new, field)]
            yield f"{name} changed in {', '.join(fields)}"
