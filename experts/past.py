"""What past results say about a place: the same weakness there, or near it, under this or another fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from executor.model.faults import FaultSpec
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, KnownHypothesis, PastResult

if TYPE_CHECKING:
    from experts.conditions import When

_PARAMETER = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")


def same_fault(line: str, fault: FaultSpec) -> bool:
    """Whether a past result's fault is this one, parameters and all; defaults may be written or left out."""
    kind = fault.model_dump()["kind"]
    if line.split(" ", 1)[0] != kind:
        return False
    values = {name: _plain(value) for name, value in fault.model_dump(mode="json").items()}
    given = {name: _plain(value) for name, value in _PARAMETER.findall(line)}
    needed = set(fault.model_dump(exclude_defaults=True)) - {"kind"}
    return needed <= set(given) and all(values.get(name) == value for name, value in given.items())


def _plain(value: object) -> str:
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)


def at_place(brief: Brief, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
    """Results of this weakness at this very place of this very system."""
    return tuple(
        past
        for past in brief.past
        if past.weakness is weakness and past.place == place and past.system == brief.system.name
    )


def tried(brief: Brief, weakness: Weakness, place: str, fault: FaultSpec) -> PastResult | None:
    """The result that already says how this place stands this fault, if one does; inconclusive ones do not."""
    for past in at_place(brief, weakness, place):
        if past.verdict in (Verdict.HOLDS, Verdict.BREAKS) and same_fault(past.fault, fault):
            return past
    return None


def nearby_breaks(brief: Brief, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
    """Breaks of the same weakness at places that share a service with this one, or in similar systems."""
    ends = set(place.split("->"))
    return tuple(
        past
        for past in brief.past
        if past.weakness is weakness
        and past.verdict is Verdict.BREAKS
        and (past.system, past.place) != (brief.system.name, place)
        and (past.system != brief.system.name or ends & set(past.place.split("->")))
    )


def belief(brief: Brief, weakness: Weakness, place: str) -> KnownHypothesis | None:
    """What is believed of the weakness at the place, or ``None``."""
    for known in brief.beliefs:
        if known.weakness is weakness and known.place == place:
            return known
    return None


def knowledge_fits(when: When, brief: Brief, weakness: Weakness, place: str) -> bool:
    """Whether what is believed and what happened before is as the conditions want it."""
    known = belief(brief, weakness, place)
    probability = known.probability if known else None
    if when.believed_min is not None and (probability is None or probability < when.believed_min):
        return False
    if when.believed_max is not None and (probability is None or probability > when.believed_max):
        return False
    here = at_place(brief, weakness, place)
    if when.held_under is not None and not _some(here, Verdict.HOLDS, when.held_under):
        return False
    if when.broke_under is not None and not _some(here, Verdict.BREAKS, when.broke_under):
        return False
    return when.broke_nearby is None or bool(nearby_breaks(brief, weakness, place)) == when.broke_nearby


def _some(results: Iterable[PastResult], verdict: Verdict, globs: tuple[str, ...]) -> bool:
    return any(
        past.verdict is verdict and any(fnmatchcase(past.fault.split(" ", 1)[0], glob) for glob in globs)
        for past in results
    )
