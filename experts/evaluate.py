"""Playbooks over a brief: one proposal for each place and fault that an entry speaks of. Deterministic, no model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import Dependency
from executor.model.wording import duration, number
from experts.allowed import place_wanted, target_name, why_not
from experts.brief import Brief
from experts.conditions import zones
from experts.entries import Choice, Entry, Playbook, Strike, timeouts
from experts.expert import proposal_key
from experts.patience import patience
from experts.playbook import base_rate, fits, looks, places
from experts.proposal import Beside, Proposal
from experts.scene import Scene
from experts.view import View

_TABLES_MAX = 2
DELAY_MS_MIN = 50.0
"""A shorter delay is lost in how busy a host happens to be."""
DELAY_MS_MAX = 10_000.0
"""A longer one would not be over when a fault of a few seconds ends; what never answers says as much."""


def evaluate(playbook: Playbook, brief: Brief) -> list[Proposal]:
    """Every proposal the playbook makes for the brief, in the order of its entries, places and faults.

    Left out is what the constraints exclude, what cannot be done here, and what a past result already answered.
    """
    scene = Scene(brief)
    wanted = brief.constraints.weaknesses
    found: dict[str, Proposal] = {}
    for entry in playbook.entries:
        if wanted and entry.weakness not in wanted:
            continue
        for place in places(entry, scene):
            if not place_wanted(place, brief):
                continue
            for way in _ways(entry, place, scene):
                done = [(way.fault, way.target), *((each.fault, each.target) for each in way.beside)]
                if any(why_not(*each, brief, scene.view) for each in done):
                    continue
                if scene.tried(entry.weakness, place, *(fault for fault, _ in done)):
                    continue
                proposal = _proposal(playbook.expert, entry, place, way, scene)
                found.setdefault(proposal_key(proposal), proposal)
    return list(found.values())


@dataclass(frozen=True)
class _Way:
    """A choice with all that it leaves open put in."""

    choice: Choice
    fault: Fault
    target: Target
    beside: tuple[Beside, ...]
    waits: str
    """Where a delay in time-outs comes from, as a sentence; empty: there is none."""


def _ways(entry: Entry, place: str, scene: Scene) -> Iterator[_Way]:
    for choice in entry.faults:
        if not fits(choice.when, entry.weakness, place, scene):
            continue
        for target in _targets(choice, place, scene.view):
            for fault, filled, waits in _made(choice, place, target, scene):
                beside = _beside(choice, place, scene)
                if len(beside) == len(choice.beside):
                    yield _Way(choice, fault, filled, beside, waits)


def _beside(choice: Choice, place: str, scene: Scene) -> tuple[Beside, ...]:
    """What else is done, each on the first target that there is; fewer than wanted where one has none."""
    found = []
    for strike in choice.beside:
        ways = (way for target in _targets(strike, place, scene.view) for way in _made(strike, place, target, scene))
        found += [Beside(fault=fault, target=target) for fault, target, _ in islice(ways, 1)]
    return tuple(found)


def _made(strike: Strike, place: str, target: Target, scene: Scene) -> Iterator[tuple[Fault, Target, str]]:
    """The fault with what it wants put in, on what, and where a delay comes from."""
    times = timeouts(strike.wants)
    if times is None:
        for filling, filled in _fillings(strike, place, target, scene.view):
            yield strike.made(filling), filled, ""
        return
    edge = scene.view.edge(place) or (scene.view.edge(target_name(target)) if isinstance(target, EdgeTarget) else None)
    if edge is None:
        return
    known = patience(edge, scene)
    ms = _rounded(times * known.ms)
    if DELAY_MS_MIN <= ms <= DELAY_MS_MAX:
        words = f"{duration(ms / 1000)} is {number(times)} times its time-out: {known.why}."
        yield strike.made(str(ms)), target, words[0].upper() + words[1:]


def _rounded(ms: float) -> float:
    """To two digits, so that places that are nearly alike are tried alike."""
    return float(f"{ms:.2g}")


def _targets(strike: Strike, place: str, view: View) -> Iterator[Target]:
    edge = view.edge(place)
    if strike.target in ("service", "caller", "callee"):
        name = place if edge is None else edge.caller if strike.target == "caller" else edge.callee
        yield InstanceTarget(service=name)
    elif strike.target == "cut":
        if edge:
            yield GroupsTarget(a=(edge.caller,), b=(edge.callee,))
    elif strike.target == "front":
        callers = [one.caller for one in view.edges_in(place) if looks(strike.through, one.place, view)]
        yield InstanceTarget(service=(callers or [place])[0])
    else:
        for one in _edges(strike, place, view):
            if not looks(strike.through, one.place, view):
                continue
            to_callee = strike.target == "callees"
            yield InstanceTarget(service=one.callee) if to_callee else EdgeTarget(caller=one.caller, callee=one.callee)


def _edges(strike: Strike, place: str, view: View) -> Sequence[Dependency]:
    edge = view.edge(place)
    if edge is None:
        return view.edges_in(place) if strike.target == "edges_in" else view.edges_out(place)
    if strike.target == "edge":
        return (edge,)
    return _beyond(edge, view) if strike.target == "edges_beyond" else _alongside(edge, view)


def _beyond(edge: Dependency, view: View) -> list[Dependency]:
    """Calls of the edge's callee that some operation makes after crossing the edge."""
    users = view.exercisers(edge)
    return [one for one in view.edges_out(edge.callee) if any(check in users for check in view.exercisers(one))]


def _alongside(edge: Dependency, view: View) -> list[Dependency]:
    """Other calls of the edge's caller that some operation makes besides crossing the edge."""
    users = view.exercisers(edge)
    others = [one for one in view.edges_out(edge.caller) if one.place != edge.place]
    return [one for one in others if any(check in users for check in view.exercisers(one))]


def _fillings(choice: Strike, place: str, target: Target, view: View) -> Iterator[tuple[str | None, Target]]:
    """What is put into the fault, each with the target that it means; nothing where the place has none."""
    if not choice.wants:
        yield None, target
        return
    edge = view.edge(place)
    service = view.one(target.service) if isinstance(target, InstanceTarget) else None
    if edge is None and service is not None:
        edge = view.edge(f"{place}->{service.name}")
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


def _proposal(expert: str, entry: Entry, place: str, way: _Way, scene: Scene) -> Proposal:
    choice, words = way.choice, _words(entry, place, way.target, scene)
    history = "" if "{past}" in entry.rationale else words["past"]
    told = (entry.rationale.format_map(words), choice.tells, way.waits, history, _quoted(entry, place, scene))
    return Proposal(
        expert=expert,
        weakness=entry.weakness,
        place=place,
        fault=way.fault,
        target=way.target,
        beside=way.beside,
        trials=choice.trials,
        concurrency=choice.concurrency,
        probability=round(present(entry, place, scene) * choice.rate, 4),
        rationale=_text(" ".join(told)),
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

    Before that, what came out at places that are like it moves the entry's rate as far as it moved the belief's.
    """
    rate = base_rate(entry, place, scene)
    known = scene.belief(entry.weakness, place)
    if known is None:
        return rate
    if known.runs > 0:
        return known.probability
    return _sigmoid(_log_odds(rate) + known.leaned)


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
