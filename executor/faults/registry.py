"""Every fault that can be made: one line each, in its layer. Standard library and behaviours only.

Others add to it through entry points of the group ``murphy.faults``, each a kind and its behaviour's class; the specs
are in ``executor.model.faults.plugins``. The watchdog loads this, so an installed one is loaded when it is asked for.
"""

from __future__ import annotations

from executor.errors import InputError
from executor.faults import data, infrastructure, network, resource, service
from executor.faults.behaviour import Behaviour

GROUP = "murphy.faults"
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
        _TABLE[kind] = _installed(kind)
    return _TABLE[kind]


def _installed(kind: str) -> Behaviour:
    from importlib.metadata import entry_points  # it takes longer to load than all else here

    for point in entry_points(group=GROUP, name=kind):
        try:
            how: Behaviour = point.load()()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            why = f"how to make {kind} cannot be loaded: {type(error).__name__}: {error}."
            raise InputError(why, where=package, hint="Mend that package.") from error
        if how.kind == kind:
            return how
    raise InputError(f"no fault {kind!r} is known.", hint=f"Known are {', '.join(sorted(_TABLE))}.")
