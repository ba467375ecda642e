"""Playbooks over a brief: one proposal for each place and fault that an entry speaks of. Deterministic, no model."""

from __future__ import annotations

import math
from collections.abc import Iterator

from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.system import Dependency
from experts.allowed import place_wanted, why_not
from experts.brief import Brief
from experts.past import at_place, belief, nearby_breaks, tried
from experts.playbook import Choice, Entry, Playbook, base_rate, fits, looks, places
from experts.proposal import Proposal
from experts.view import View
from knowledge.fault_types import fault_text

_TABLES_MAX = 2
_OUTSIDE_WEIGHT = 0.5


def evaluate(playbook: Playbook, brief: Brief) -> list[Proposal]:
    """Every proposal the playbook makes for the brief, in the order of its entries, places and faults.

    Left out is what the constraints exclude, what cannot be done here, and what a past result already answered.
    """
    view = View(brief.system)
    wanted = brief.constraints.weaknesses
    found: dict[tuple[str, str, str, str], Proposal] = {}
    for entry in playbook.entries:
        if wanted and entry.weakness not in wanted:
            continue
        for place in places(entry, brief, view):
            if not place_wanted(place, brief):
                continue
            for choice, fault, target in _ways(entry, place, brief, view):
                if why_not(fault, target, brief) or tried(brief, entry.weakness, place, fault):
                    continue
                key = (entry.weakness.value, place, fault_text(fault), target.model_dump_json())
                found.setdefault(key, _proposal(playbook.expert, entry, place, choice, fault, target, brief, view))
    return list(found.values())


def _ways(entry: Entry, place: str, brief: Brief, view: View) -> Iterator[tuple[Choice, Fault, Target]]:
    for choice in entry.faults:
        if not fits(choice.when, entry.weakness, place, brief, view):
            continue
        for target in _targets(choice, place, view):
            for table in _tables(choice, place, view):
                yield choice, choice.made(table), target


def _targets(choice: Choice, place: str, view: View) -> Iterator[Target]:
    edge = view.edge(place)
    if choice.target in ("service", "caller", "callee"):
        name = place if edge is None else edge.caller if choice.target == "caller" else edge.callee
        yield InstanceTarget(service=name)
        return
    edges: tuple[Dependency, ...]
    if choice.target == "edge":
        edges = (edge,) if edge else ()
    elif choice.target == "edges_beyond":
        edges = view.edges_out(edge.callee) if edge else ()
    else:
        edges = view.edges_out(place) if choice.target == "edges_out" else view.edges_in(place)
    for one in edges:
        if looks(choice.through, one.place, view):
            yield EdgeTarget(caller=one.caller, callee=one.callee)


def _tables(choice: Choice, place: str, view: View) -> tuple[str, ...]:
    if not choice.wants_table:
        return ("",)
    edge = view.edge(place)
    return view.telling_tables(edge)[:_TABLES_MAX] if edge else ()


def _proposal(
    expert: str,
    entry: Entry,
    place: str,
    choice: Choice,
    fault: Fault,
    target: Target,
    brief: Brief,
    view: View,
) -> Proposal:
    words = _words(entry, place, target, brief, view)
    rationale = " ".join(f"{entry.rationale.format_map(words)} {choice.tells}".split())
    history = words["past"]
    if history and "{past}" not in entry.rationale:
        rationale = f"{rationale} {history}"
    return Proposal.model_validate(
        {
            "expert": expert,
            "weakness": entry.weakness,
            "place": place,
            "fault": fault,
            "target": target,
            "probability": round(present(entry, place, brief, view) * choice.rate, 4),
            "rationale": rationale[:4000],
            "remedy": " ".join(entry.remedy.format_map(words).split())[:4000],
            "source": f"{expert}/{entry.id}: {entry.source}"[:400],
        }
    )


def present(entry: Entry, place: str, brief: Brief, view: View) -> float:
    """P(present) as this entry sees it: its base rate, or the belief once experiments have borne on it.

    A belief that rests on other systems only is met half-way, in log odds.
    """
    rate = base_rate(entry, place, brief, view)
    known = belief(brief, entry.weakness, place)
    if known is None:
        return rate
    if known.runs > 0:
        return known.probability
    return _sigmoid((1 - _OUTSIDE_WEIGHT) * _log_odds(rate) + _OUTSIDE_WEIGHT * _log_odds(known.probability))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 0.001), 0.999)
    return math.log(kept / (1 - kept))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _words(entry: Entry, place: str, target: Target, brief: Brief, view: View) -> dict[str, str]:
    edge = view.edge(place)
    struck = f"{target.caller}->{target.callee}" if isinstance(target, EdgeTarget) else target.model_dump()["service"]
    service = view.system.service(edge.callee if edge else place)
    users = view.exercisers(edge) if edge else view.touching(place)
    others = view.others(edge) if edge else ()
    return {
        "place": place,
        "service": service.name,
        "caller": edge.caller if edge else place,
        "callee": edge.callee if edge else place,
        "target": struck,
        "technology": service.technology or service.kind.value,
        "operations": _list([check.id for check in users]),
        "others": _list([check.id for check in others]),
        "past": _history(entry, place, brief),
    }


def _list(names: list[str]) -> str:
    if not names:
        return "no known operation"
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _history(entry: Entry, place: str, brief: Brief) -> str:
    here = at_place(brief, entry.weakness, place)
    if here:
        return " ".join(f"{past.verdict.value.capitalize()} under {past.fault} in {past.run}." for past in here[-3:])
    near = nearby_breaks(brief, entry.weakness, place)
    return " ".join(f"Broke at {past.place} of {past.system} under {past.fault} in {past.run}." for past in near[-2:])
