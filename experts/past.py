"""Past results at a place, and whether one of them was under this very fault."""

from __future__ import annotations

import re

from executor.model.faults import FaultSpec
from executor.model.vocabulary import Weakness
from experts.brief import Brief, PastResult

_PARAMETER = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")


def kinds(line: str) -> tuple[str, ...]:
    """Kinds of the faults in a past result; several are joined by `` + ``."""
    return tuple(part.split(" ", 1)[0] for part in line.split(" + "))


def same_fault(line: str, fault: FaultSpec) -> bool:
    """Whether a past result's fault is this one, parameters and all; defaults may be written or left out."""
    values = {name: _plain(value) for name, value in fault.model_dump(mode="json").items()}
    if line.split(" ", 1)[0] != values.pop("kind") or " + " in line:
        return False
    given = {name: _plain(value) for name, value in _PARAMETER.findall(line)}
    needed = set(fault.model_dump(exclude_defaults=True)) - {"kind"}
    return needed <= set(given) and all(values.get(name) == value for name, value in given.items())


def at_place(brief: Brief, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
    """Results of this weakness at this very place of this very system."""
    return brief.here.get((weakness, place), ())


def _plain(value: object) -> str:
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)
