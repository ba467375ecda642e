"""What was foreseen of a cascade beside what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executor.measure.cascade.observed import Cascade
from planner.cascade.predict import Foreseen


@dataclass(frozen=True)
class Comparison:
    """Services by what was foreseen and what was seen of them; each is sorted."""

    as_foreseen: tuple[str, ...]
    """They fell, and were expected to."""
    spared_as_foreseen: tuple[str, ...]
    surprises: tuple[str, ...]
    """They fell, and were not expected to."""
    held_up: tuple[str, ...]
    """They were expected to fall, and did not."""
    early: tuple[tuple[str, str], ...]
    """Pairs of which the one farther from what was struck surely fell first, which nobody expects."""
    depth: int
    """Calls that it was expected to travel."""


def compare(foreseen: Sequence[Foreseen], seen: Cascade) -> Comparison:
    """Hold one against the other."""
    fell = {each.service for each in seen.fallen}
    expected = {each.service for each in foreseen if each.falls}
    watched = fell | set(seen.spared)
    return Comparison(
        as_foreseen=tuple(sorted(fell & expected)),
        spared_as_foreseen=tuple(sorted(watched - fell - expected)),
        surprises=tuple(sorted(fell - expected)),
        held_up=tuple(sorted(expected & watched - fell)),
        early=tuple(_early(foreseen, seen)),
        depth=max((each.hops for each in foreseen if each.falls and each.hops is not None), default=0),
    )


def _early(foreseen: Sequence[Foreseen], seen: Cascade) -> list[tuple[str, str]]:
    hops = {each.service: each.hops for each in foreseen if each.hops is not None}
    return [(far, near) for far, near in seen.before if far in hops and near in hops and hops[far] > hops[near]]
