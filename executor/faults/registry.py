"""Every fault that can be made: one line each, in its layer. Standard library and behaviours only.

Others add to it (``executor.plugins``). The watchdog loads this, so what they add is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

from executor.errors import InputError
from executor.faults import data, infrastructure, network, resource, service
from executor.faults.behaviour import Behaviour
from executor.plugins import added, unfit

BEHAVIOURS: tuple[Behaviour, ...] = (
    *service.BEHAVIOURS,
    *network.BEHAVIOURS,
    *resource.BEHAVIOURS,
    *data.BEHAVIOURS,
    *infrastructure.BEHAVIOURS,
)


def by_kind(behaviours: tuple[Behaviour, ...]) -> dict[str, Behaviour]:
    """Behaviours by the kind of fault they make. Raises ``ValueError`` if two make the same."""
    table: dict[str, Behaviour] = {}
    for one in behaviours:
        if one.kind in table:
            raise ValueError(f"two behaviours make {one.kind}")
        table[one.kind] = one
    return table


_TABLE = by_kind(BEHAVIOURS)


def behaviour(kind: str) -> Behaviour:
    """How a kind of fault is made and undone. Raises ``InputError`` naming the known kinds."""
    if kind not in _TABLE:
        _TABLE[kind] = _added(kind)
    return _TABLE[kind]


def _added(kind: str) -> Behaviour:
    import_module("executor.model.faults")  # a package may keep spec and behaviour in one file, which that loads, too
    found = added("faults", kind).get(kind)
    if found is None:
        raise InputError(f"no fault {kind!r} is known.", hint=f"Known are {', '.join(sorted(_TABLE))}.")
    how: Behaviour = found()
    if how.kind != kind:
        raise unfit(kind, "behaviour")
    return how
