"""How surely each type of fault shows a weakness here, once the weakness was found here.

The table of ``knowledge.sensitivity`` is an average over all ways in which a weakness can be there. In one system it is
there in one or two ways, for code is copied and libraries are shared: where a fallback that skips a 404 was found under
a 404, and held under a 503, the next place that has the weakness will most likely show it in the same way. So what the
types of faults have shown at places where the weakness was found, here and in similar systems, moves the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, PastResult
from knowledge.sensitivity import sensitivity

Shows = Mapping[Weakness, Mapping[str, float]]
"""P(breaks | present) by weakness and type of fault, of those types that were tried where it was found."""

TABLE_STRENGTH = 2.0
"""Pseudo-counts of the table: as much as two places."""
ELSEWHERE = 0.5
"""A place of another system counts so much, times its likeness."""
_DECIDED = (Verdict.HOLDS, Verdict.BREAKS)


def shows(brief: Brief) -> Shows:
    """From the past results of a brief. Results of several types of fault at once say nothing of one of them."""
    places: dict[tuple[str, Weakness, str], list[PastResult]] = {}
    for past in brief.past:
        if past.verdict in _DECIDED and len(past.types) == 1:
            places.setdefault((past.system, past.weakness, past.place), []).append(past)
    counts: dict[Weakness, dict[str, list[float]]] = {}
    for (system, weakness, _), results in sorted(places.items()):
        if not any(each.verdict is Verdict.BREAKS for each in results):
            continue
        weight = 1.0 if system == brief.system.name else ELSEWHERE * max(each.similarity for each in results)
        for name, broke in _by_type(results).items():
            counts.setdefault(weakness, {}).setdefault(name, [0.0, 0.0])[broke] += weight
    return {
        weakness: {name: _rate(weakness, name, *told) for name, told in of.items()} for weakness, of in counts.items()
    }


def _by_type(results: Iterable[PastResult]) -> dict[str, bool]:
    """Type of fault → whether it showed the weakness: where it broke once, it does."""
    found: dict[str, bool] = {}
    for each in results:
        found[each.types[0]] = found.get(each.types[0], False) or each.verdict is Verdict.BREAKS
    return found


def _rate(weakness: Weakness, name: str, held: float, broke: float) -> float:
    return (TABLE_STRENGTH * sensitivity(weakness, (name,)) + broke) / (TABLE_STRENGTH + held + broke)
