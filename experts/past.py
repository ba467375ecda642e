"""Past results at a place, and whether one of them was under this very fault."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    if fault.kind == "service.overload":
        line = re.sub(r" path=\S+", "", line)  # what it asks for is chosen when the plan is made
        values.pop("path")
    if line.split(" ", 1)[0] != values.pop("kind") or " + " in line:
        return False
    given = {name: _plain(value) for name, value in _PARAMETER.findall(line)}
    needed = set(fault.model_dump(exclude_defaults=True)) & set(values)
    return needed <= set(given) and all(values.get(name) == value for name, value in given.items())


def same_faults(line: str, faults: Sequence[FaultSpec]) -> bool:
    """Whether a past result was under these very faults at once, in this order."""
    parts = line.split(" + ")
    return len(parts) == len(faults) and all(same_fault(*pair) for pair in zip(parts, faults, strict=True))


def latency_ms(line: str) -> float:
    """How late a past result's one fault made each answer, milliseconds; 0: not at all, or not it alone."""
    found = dict(_PARAMETER.findall(line))
    if kinds(line) != ("network.latency",) or "jitter_ms" in found:
        return 0.0
    return float(found.get("delay_ms", 0.0))


def at_place(brief: Brief, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
    """Results of this weakness at this very place of this very system."""
    return brief.here.get((weakness, place), ())


def _plain(value: object) -> str:
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)
