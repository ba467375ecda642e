"""All that past results of a system ask to be tried next, the most telling first.

Nothing is stored for it: it follows from the ledger, so that a session that plans later, in whatever process, takes up
the lines where they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.model import wording
from executor.model.faults import Fault
from executor.model.plan import Action, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import FaultType, Verdict, Weakness
from executor.safety.limits import Limits
from experts.brief import Brief
from experts.proposal import Proposal
from knowledge.beliefs.belief import Belief, Key
from knowledge.beliefs.outcomes import RIVAL
from knowledge.beliefs.sight import sight
from knowledge.beliefs.update import Weighed
from knowledge.exposure import exposure
from knowledge.rows import PastRow
from knowledge.sensitivity import gain, sensitivity
from planner import naming
from planner.adapting.explain import Rivals, rivals
from planner.adapting.follow_up import EXPERT, FollowUp, Why
from planner.adapting.line import TRIES_MAX, Threshold, Tried, threshold
from planner.adapting.strength import alike
from planner.alternatives import tries
from planner.compile import compile_candidates
from planner.recipes.case import Case, Judging
from planner.recipes.table import judging

THRESHOLD_WORTH = 0.25
"""Bits that it is worth to know a threshold, for the whole range: how much there is to spare is good to know, but
whether something breaks at all counts more. Each step halves what is left of it, until it is not worth its time."""
GAIN_MIN = 0.05
"""Bits below which a follow-up is not worth proposing; the line of experiments ends there."""
RIVALS_MAX = 6
"""So many outcomes with two explanations are looked into, the most open first."""
_WIDER = 0.1
"""P(present) at least, where a fault has only been tried on less: what held there says little of more."""

Actions = Mapping[tuple[str, str], tuple[Action, ...]]
"""By run and experiment, as the ledger has them."""


@dataclass(frozen=True)
class Next:
    """What to try, and what is known of thresholds by now."""

    follow_ups: tuple[FollowUp, ...]
    thresholds: tuple[str, ...]
    """Each in a sentence; of lines that have come to their end."""


NOTHING = Next((), ())


@dataclass(frozen=True)
class _Past:
    """One result, with what was done."""

    row: PastRow
    fault: Fault
    target: Target


def next_of(made: Weighed, actions: Actions, system: System) -> Next:
    """Pure and deterministic. ``made``: beliefs and the system's own results.

    Results of several faults at once, and of a fault that only a person chooses, ask for nothing.
    """
    beliefs = {(b.weakness, b.place): b for b in made.beliefs}
    by_key: dict[Key, list[_Past]] = {}
    for row in made.rows:
        done = actions.get((row.run, row.experiment), ())
        if len(done) == 1 and row.verdict is not Verdict.ABORTED and not done[0].fault.leaves():
            by_key.setdefault((row.weakness, row.place), []).append(_Past(row, done[0].fault, done[0].target))
    found: list[FollowUp] = []
    ended: list[str] = []
    rival = [each for pair in rivals(made, RIVALS_MAX) if (each := _discriminate(pair, beliefs, system)) is not None]
    disputed = {(p.weakness, p.place) for each in rival for p in each.proposals}
    for key in sorted(by_key):
        past, belief = by_key[key], beliefs.get(key)
        for line in _lines(past):
            limit = threshold([Tried(each.fault, each.row.verdict) for each in line])
            if limit is None or _states_its_limit(key, limit, line[-1].target, system):
                continue
            step = _bisect(key, line[-1].target, limit, system)
            if step is not None:
                found.append(step)
            elif limit.known:
                ended.append(f"Threshold found: {_named(key)} {limit.words()}.")
        found += filter(None, (_repeat(key, past, belief, system), _widen(key, past, belief, system)))
        if key not in disputed:
            found += filter(None, (_confirm(key, past, belief, system),))
    found += rival
    ranked = sorted(found, key=lambda each: (-each.value, each.text))
    return Next(tuple(ranked), tuple(dict.fromkeys(ended)))


def _lines(past: Sequence[_Past]) -> list[list[_Past]]:
    """Results on one target whose faults differ in strength alone."""
    lines: list[list[_Past]] = []
    for each in past:
        for line in lines:
            if line[0].target == each.target and alike(line[0].fault, each.fault):
                line.append(each)
                break
        else:
            lines.append([each])
    return lines


def _states_its_limit(key: Key, limit: Threshold, target: Target, system: System) -> bool:
    """Whether the criterion says itself where it breaks: answers later than its bound, at a delay beyond it."""
    judged = judging(Case(system, *key, limit.strongest, target))
    late = limit.strongest.looks() in (FaultType.SLOW, FaultType.SLUGGISH)
    return isinstance(judged, Judging) and late and any(c.kind == "bounded_latency" for c in judged.criteria)


def _bisect(key: Key, target: Target, limit: Threshold, system: System) -> FollowUp | None:
    if limit.next is None:
        return None
    asked = [judging(Case(system, *key, fault, target)) for fault in (limit.strongest, limit.next)]
    same = [each.criteria for each in asked if isinstance(each, Judging)]
    if len(same) < len(asked) or same[0] != same[1]:
        return None  # it would be another question
    value = THRESHOLD_WORTH * limit.width
    text = f"Find the threshold: {_named(key)} {limit.words()}; try “{limit.next.words()}”."
    return _follow_up("bisect", text, key, limit.next, target, 0.5, value)


def _repeat(key: Key, past: Sequence[_Past], belief: Belief | None, system: System) -> FollowUp | None:
    """The same once more while it stays inconclusive; each time it does, another try is worth less."""
    last = past[-1]
    same = [each for each in past if (each.fault, each.target) == (last.fault, last.target)]
    row = 0
    for each in reversed(same):
        if each.row.verdict is not Verdict.INCONCLUSIVE:
            break
        row += 1
    if not 0 < row < TRIES_MAX or belief is None or not _judged(key, last.fault, last.target, system):
        return None
    value = _gain(belief.probability, key[0], last.fault) / row
    if value < GAIN_MIN:
        return None
    text = f"Try again: {_named(key)} was inconclusive ({last.row.reason.rstrip('.')})."
    return _follow_up("repeat", text, key, last.fault, last.target, belief.probability, value)


def _widen(key: Key, past: Sequence[_Past], belief: Belief | None, system: System) -> FollowUp | None:
    """The same on more instances, only after it held on fewer and while nothing breaks."""
    last = next((each for each in reversed(past) if isinstance(each.target, InstanceTarget)), None)
    if last is None or belief is None or any(each.row.verdict is Verdict.BREAKS for each in past):
        return None
    target = last.target
    assert isinstance(target, InstanceTarget)
    service = next((each for each in system.services if each.name == target.service), None)
    if last.row.verdict is not Verdict.HOLDS or target.ids or service is None:
        return None
    count = min(2 * target.count, len(service.instances))
    wider = InstanceTarget(service=target.service, count=count)
    if count <= target.count or not _judged(key, last.fault, wider, system):
        return None
    present = max(_WIDER, belief.probability)
    value = _gain(present, key[0], last.fault)
    if value < GAIN_MIN:
        return None
    text = (
        f"Widen it: {_named(key)} held with {wording.many(target.count, 'instance')} of {target.service} struck; "
        f"try {count} of {len(service.instances)}."
    )
    return _follow_up("widen", text, key, last.fault, wider, present, value)


def _confirm(key: Key, past: Sequence[_Past], belief: Belief | None, system: System) -> FollowUp | None:
    """What one run alone has shown is tried once more: then it is no accident, and becomes a template."""
    last = past[-1]
    decided = [each.row.verdict for each in past if each.row.decided]
    if belief is None or decided != [Verdict.BREAKS] or last.row.verdict is not Verdict.BREAKS:
        return None
    value = gain(belief.probability, sensitivity(key[0], (last.fault.looks().value,)))
    if value < GAIN_MIN or not _judged(key, last.fault, last.target, system):
        return None
    text = f"Confirm it: {_named(key)} broke under “{last.fault.words()}” in {last.row.run} alone."
    return _follow_up("confirm", text, key, last.fault, last.target, belief.probability, value)


def _discriminate(pair: Rivals, beliefs: Mapping[Key, Belief], system: System) -> FollowUp | None:
    """The experiment whose verdict tells most of which of two weaknesses explains what broke."""
    best: FollowUp | None = None
    for fault, target in dict.fromkeys(
        (fault, target)
        for key in (pair.one, pair.other)
        for fault, target in tries(*key, system)
        if fault.looks().value not in beliefs[key].tested
    ):
        asked = tuple(
            _proposal(key, fault, target, beliefs[key].probability, _between(pair))
            for key in (pair.one, pair.other)
            if _judged(key, fault, target, system)
        )
        value = separates(pair, asked, system)
        if value >= GAIN_MIN and (best is None or value > best.value):
            text = f"{_between(pair)} Try “{fault.words()}” at {asked[0].place}."
            best = FollowUp(why="discriminate", text=text, proposals=asked, value=value)
    return best


def separates(pair: Rivals, asked: Sequence[Proposal], system: System) -> float:
    """Bits that the experiment of these proposals tells of which of the two is there; by its most telling verdict."""
    made = compile_candidates(asked, (), Brief(system=system), limits=Limits(), weights={})
    told = 0.0
    for experiment in made.experiments:
        for hypothesis in experiment.hypotheses:
            meant = (hypothesis.weakness, hypothesis.place)
            exposed = exposure(experiment, hypothesis, system)
            one, other = (
                sight(*key, exposed, named=key == meant).shows * (1.0 if key == meant else RIVAL)
                for key in (pair.one, pair.other)
            )
            told = max(told, pair.gain(one, other))
    return told


def _between(pair: Rivals) -> str:
    return f"Which is it? {_named(pair.one)} and {_named(pair.other)} would both explain {pair.outcome.run}."


def _judged(key: Key, fault: Fault, target: Target, system: System) -> bool:
    return isinstance(judging(Case(system, *key, fault, target)), Judging)


def _gain(probability: float, weakness: Weakness, fault: Fault) -> float:
    return gain(probability, sensitivity(weakness, (fault.looks().value,)))


def _named(key: Key) -> str:
    return f"{wording.named(key[0])} at {key[1]}"


def _proposal(key: Key, fault: Fault, target: Target, probability: float, rationale: str) -> Proposal:
    weakness, place = key
    return Proposal(
        expert=EXPERT,
        weakness=weakness,
        place=place,
        fault=fault,
        target=target,
        probability=round(probability, 4),
        rationale=rationale[:4000],
    )


def _follow_up(
    why: Why, text: str, key: Key, fault: Fault, target: Target, probability: float, value: float
) -> FollowUp:
    asked = _proposal(key, fault, target, probability, text)
    return FollowUp(why=why, text=text[:4000], proposals=(asked,), value=round(value, 6))


def worth_of(follow_ups: Sequence[FollowUp]) -> dict[str, dict[Key, float]]:
    """What each candidate that a follow-up asks for is worth besides, bits: by its id, and by weakness and place."""
    found: dict[str, dict[Key, float]] = {}
    for each in follow_ups:
        for asked in each.proposals:
            held = found.setdefault(naming.experiment_id(asked.fault, asked.target), {})
            key = (asked.weakness, asked.place)
            held[key] = max(held.get(key, 0.0), each.value / len(each.proposals))
    return found


def thresholds(follow_ups: Sequence[FollowUp]) -> frozenset[str]:
    """Ids of the candidates that are steps of a search for a threshold."""
    steps = (asked for each in follow_ups if each.why == "bisect" for asked in each.proposals)
    return frozenset(naming.experiment_id(asked.fault, asked.target) for asked in steps)
