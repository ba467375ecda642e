"""What other packages add, found by their entry points: faults, drivers, probes. Standard library only.

Groups: ``murphy.fault_specs`` (a kind and its class of parameters), ``murphy.faults`` (the same kind and the behaviour
that makes it), ``murphy.drivers`` (a name and its driver's class), ``murphy.probes`` (a kind and its probe's class).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from executor.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group = Literal["fault_specs", "faults", "drivers", "probes"]


def added(group: Group, name: str | None = None) -> dict[str, Any]:
    """What is added to a group, by name; or only that of one name. Loads the packages that add it.

    Raises ``InputError`` naming the package for one that cannot be loaded.
    """
    from importlib.metadata import entry_points  # it takes longer to load than all else here

    points = sorted(entry_points(group=f"murphy.{group}"), key=lambda point: point.name)
    return {point.name: _load(point) for point in points if name in (None, point.name)}


def unfit(name: str, wanted: str) -> InputError:
    """For an entry point that is not what its group is for."""
    return InputError(f"an installed package adds {name}, which is no {wanted} of that name.", hint=_HINT)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist else point.value
        why = f"what it adds as {point.name} cannot be loaded: {type(error).__name__}: {error}."
        raise InputError(why, where=package, hint=_HINT) from error


_HINT = "Mend or remove that package."
