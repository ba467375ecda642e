"""Playbooks over a brief: one proposal for each place and fault that an entry speaks of. Deterministic, no model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import Dependency
from experts.allowed import place_wanted, target_name, why_not
from experts.brief import Brief
from experts.conditions import zones
from experts.entries import Choice, Entry, Playbook
from experts.playbook import base_rate, fits, looks, places
from experts.proposal import Proposal
from experts.scene import Scene
from experts.view import View
from knowledge.fault_types import fault_text

_TABLES_MAX = 2
_OUTSIDE_WEIGHT = 0.5


def evaluate(playbook: Playbook, brief: Brief) -> list[Proposal]:
    """Every proposal the playbook makes for the brief, in the order of its entries, places and faults.

    Left out is what the constraints exclude, what cannot be done here, and what a past result already answered.
    """
    scene = Scene(brief)
    wanted = brief.constraints.weaknesses
    found: dict[tuple[str, str, str, str], Proposal] = {}
    for entry in playbook.entries:
        if wanted and entry.weakness not in wanted:
            continue
        for place in places(entry, scene):
            if not place_wanted(place, brief):
                continue
            for choice, fault, target in _ways(entry, place, scene):
                if why_not(fault, target, brief, scene.view) or scene.tried(entry.weakness, place, fault):
                    continue
                key = (entry.weakness.value, place, fault_text(fault), target_name(target))
                if key not in found:
                    found[key] = _proposal(playbook.expert, entry, place, choice, fault, target, scene)
    return list(found.values())


def _ways(entry: Entry, place: str, scene: Scene) -> Iterator[tuple[Choice, Fault, Target]]:
    for choice in entry.faults:
        if not fits(choice.when, entry.weakness, place, scene):
            continue
        for target in _targets(choice, place, scene.view):
            for filling, filled in _fillings(choice, place, target, scene.view):
                yield choice, choice.made(filling), filled


def _targets(choice: Choice, place: str, view: View) -> Iterator[Target]:
    edge = view.edge(place)
    if choice.target in ("service", "caller", "callee"):
        name = place if edge is None else edge.caller if choice.target == "caller" else edge.callee
        yield InstanceTarget(service=name)
        return
    if choice.target == "cut":
        if edge:
            yield GroupsTarget(a=(edge.caller,), b=(edge.callee,))
        return
    edges: Sequence[Dependency]
    if choice.target == "edge":
        edges = (edge,) if edge else ()
    elif choice.target == "edges_beyond":
        edges = _beyond(edge, view) if edge else ()
    else:
        edges = view.edges_out(place) if choice.target == "edges_out" else view.edges_in(place)
    for one in edges:
        if looks(choice.through, one.place, view):
            yield EdgeTarget(caller=one.caller, callee=one.callee)


def _beyond(edge: Dependency, view: View) -> list[Dependency]:
    """Calls of the edge's callee that some operation makes after crossing the edge."""
    users = view.exercisers(edge)
    return [one for one in view.edges_out(edge.callee) if any(check in users for check in view.exercisers(one))]


def _fillings(choice: Choice, place: str, target: Target, view: View) -> Iterator[tuple[str | None, Target]]:
    """What is put into the fault, each with the target that it means; nothing where the place has none."""
    if not choice.wants:
        yield None, target
        return
    edge = view.edge(place)
    service = view.one(target.service) if isinstance(target, InstanceTarget) else None
    if choice.wants == "{table}":
        for table in view.telling_tables(edge)[:_TABLES_MAX] if edge else ():
            yield table, target
    elif service is not None and choice.wants == "{zone}":
        for zone in zones(service):
            yield (
                zone,
                InstanceTarget(service=service.name, ids=tuple(i.id for i in service.instances if i.zone == zone)),
            )
    elif service is not None:
        for name in (service.queues if choice.wants == "{queue}" else service.directories)[:1]:
            yield name, target


def _proposal(
    expert: str, entry: Entry, place: str, choice: Choice, fault: Fault, target: Target, scene: Scene
) -> Proposal:
    words = _words(entry, place, target, scene)
    history = "" if "{past}" in entry.rationale else words["past"]
    return Proposal(
        expert=expert,
        weakness=entry.weakness,
        place=place,
        fault=fault,
        target=target,
        probability=round(present(entry, place, scene) * choice.rate, 4),
        rationale=_text(f"{entry.rationale.format_map(words)} {choice.tells} {history} {_quoted(entry, place, scene)}"),
        remedy=_text(entry.remedy.format_map(words)),
        source=f"{expert}/{entry.id}: {entry.source}"[:400],
    )


def _quoted(entry: Entry, place: str, scene: Scene) -> str:
    """Where a document that people have learned speaks of this weakness at this place."""
    for quotation in scene.brief.quotations:
        if place in quotation.places and entry.weakness in quotation.weaknesses:
            return f"{quotation.source.rpartition('/')[2]} speaks of it."
    return ""


def _text(text: str) -> str:
    return " ".join(text.split())[:4000]


def present(entry: Entry, place: str, scene: Scene) -> float:
    """P(present) as this entry sees it: its base rate, or the belief once experiments have borne on it.

    A belief that rests on other systems only is met half-way, in log odds.
    """
    rate = base_rate(entry, place, scene)
    known = scene.belief(entry.weakness, place)
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


def _words(entry: Entry, place: str, target: Target, scene: Scene) -> dict[str, str]:
    view = scene.view
    edge = view.edge(place)
    caller, callee = (edge.caller, edge.callee) if edge else (place, place)
    service = view.one(callee)
    return {
        "place": place,
        "service": callee,
        "caller": caller,
        "callee": callee,
        "target": target_name(target),
        "technology": service.technology or service.kind.value,
        "operations": _list([check.id for check in (view.exercisers(edge) if edge else view.touching(place))]),
        "others": _list([check.id for check in (view.others(edge) if edge else ())]),
        "past": _history(entry, place, scene),
    }


def _list(names: list[str]) -> str:
    if not names:
        return "no known operation"
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _history(entry: Entry, place: str, scene: Scene) -> str:
    here = scene.here(entry.weakness, place)
    if here:
        return " ".join(f"{past.verdict.value.capitalize()} under {past.fault} in {past.run}." for past in here[-3:])
    near = scene.broke_nearby(entry.weakness, place)
    return " ".join(f"Broke at {past.place} of {past.system} under {past.fault} in {past.run}." for past in near[-2:])
