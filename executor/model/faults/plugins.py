"""Faults that others add: entry points of the group ``murphy.fault_specs``, each a kind and its class.

The behaviour that makes such a fault is an entry point of the same name in the group ``murphy.faults``
(``executor.faults.registry``).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from executor.errors import InputError
from executor.model.faults.base import FaultSpec

GROUP = "murphy.fault_specs"


def specs() -> tuple[type[FaultSpec], ...]:
    """The classes that installed packages add, by kind. Raises ``InputError`` for one that is not what it says."""
    return tuple(_spec(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def _spec(point: EntryPoint) -> type[FaultSpec]:
    package = point.dist.name if point.dist else point.value
    try:
        spec = point.load()
    except Exception as error:
        raise InputError(
            f"its fault {point.name} cannot be loaded: {type(error).__name__}: {error}.",
            where=package,
            hint="Mend or remove that package.",
        ) from error
    if not (isinstance(spec, type) and issubclass(spec, FaultSpec) and spec.named() == point.name):
        raise InputError(
            f"its fault {point.name} is no FaultSpec of that kind.", where=package, hint="Mend or remove that package."
        )
    return spec
