"""The operator's limits bind whoever works in a directory with limits of its own: those can only be stricter.

A checkout is whatever somebody has committed; the home is the operator's. So a project's file says only what is to be
stricter, and all else is as in the home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from executor.model.vocabulary import Environment

if TYPE_CHECKING:
    from executor.safety.limits import Limits
    from executor.safety.windows import ChangeWindow

Rule = Callable[[Any, Any], bool]
"""Whether a project's value, first, is as strict as the operator's."""


def _at_most(mine: float, theirs: float) -> bool:
    return mine <= theirs


def _at_least(mine: float, theirs: float) -> bool:
    return mine >= theirs


def _same(mine: object, theirs: object) -> bool:
    return mine == theirs


def _among(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return set(mine) <= set(theirs)


def _some_among(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """An empty list allows all."""
    return not theirs or (bool(mine) and _among(mine, theirs))


def _added(_mine: object, _theirs: object) -> bool:
    """The operator's are there too, whatever is said."""
    return True


def _covered(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether each glob is one of theirs, or matches only what one of theirs does."""
    return all(any(glob == wide or _narrower(glob, wide) for wide in theirs) for glob in mine)


def _narrower(glob: str, wide: str) -> bool:
    """Where the wide one has stars alone, they must have taken up all that is no letter of the other."""
    plain = not set(glob) & set("*?[")
    return fnmatchcase(glob, wide) and (plain or not set(wide) & set("?["))


def _windows(mine: tuple[ChangeWindow, ...], theirs: tuple[ChangeWindow, ...]) -> bool:
    """For each environment some of theirs, each as it is. None: production is closed, and all else is always open."""
    return all(_opens_less(_times(mine, where), _times(theirs, where), where) for where in Environment)


def _opens_less(mine: set[tuple[Any, ...]], theirs: set[tuple[Any, ...]], where: Environment) -> bool:
    if where is Environment.PRODUCTION:
        return mine <= theirs
    return not theirs or (bool(mine) and mine <= theirs)


def _times(windows: tuple[ChangeWindow, ...], where: Environment) -> set[tuple[Any, ...]]:
    return {(each.days, each.begins, each.ends, each.time_zone) for each in windows if where in each.environments}


RULES: Final[Mapping[str, Rule]] = {
    "format": _same,
    "protected_services": _added,
    "critical_in_production": _at_most,
    "allowed_faults": _covered,
    "environments": _among,
    "fault_s_max": _at_most,
    "run_s_max": _at_most,
    "concurrent_runs_max": _at_most,
    "concurrent_faults_max": _at_most,
    "lease_s": _at_most,
    "state_free_mib_min": _at_least,
    "approval_s_max": _at_most,
    "approval_uses_max": _at_most,
    "approvers": _some_among,
    "change_windows": _windows,
    "blast_radius.instances_percent": _at_most,
    "blast_radius.services_percent": _at_most,
    "blast_radius.traffic_percent": _at_most,
    "blast_radius.protected_impact_percent": _at_most,
    "blast_radius.strangers_max": _at_most,
    "guard.check_silent_s": _at_most,
    "guard.unplanned_services_max": _at_most,
    "guard.cascade_per_s_max": _at_most,
    "guard.cost_percent_max": _at_most,
    "guard.cpu_percent_max": _at_most,
    "guard.memory_free_percent_min": _at_least,
    "error_budget.source": _same,
    "error_budget.query": _same,
    "error_budget.floor": _at_least,
}


def looser(mine: Limits, theirs: Limits) -> Iterator[tuple[str, Any, Any]]:
    """Keys that a project's file sets and that allow more than the operator's, with both values."""
    minded = bool(theirs.error_budget.source)  # else any budget is stricter than none
    for key, own, limit in _set(mine, theirs):
        if not RULES[key](own, limit) and (minded or not key.startswith("error_budget.")):
            yield key, own, limit


def within(mine: Limits, theirs: Limits) -> Limits:
    """The operator's, but what a project's file sets; services that either protects are protected."""
    protected = tuple(dict.fromkeys((*theirs.protected_services, *mine.protected_services)))
    found: Limits = _over(mine, theirs).model_copy(update={"protected_services": protected})
    return found


def _set(mine: BaseModel, theirs: BaseModel, table: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name in type(mine).model_fields:
        if name in mine.model_fields_set:
            own, limit = getattr(mine, name), getattr(theirs, name)
            if isinstance(own, BaseModel):
                yield from _set(own, limit, f"{name}.")
            else:
                yield f"{table}{name}", own, limit


def _over(mine: BaseModel, theirs: BaseModel) -> Any:
    values = {name: getattr(mine, name) for name in type(mine).model_fields if name in mine.model_fields_set}
    for name, own in values.items():
        if isinstance(own, BaseModel):
            values[name] = _over(own, getattr(theirs, name))
    return theirs.model_copy(update=values)
