"""What a run suggests to do next: another kind of fault, a smaller one, the same once more; or that it is enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from executor.model import wording
from executor.model.evidence import Evidence, HypothesisResult
from executor.model.faults import Fault
from executor.model.plan import Experiment, Plan
from executor.model.system import System
from executor.model.vocabulary import Verdict
from knowledge.beliefs import Belief
from knowledge.beliefs.belief import Key
from knowledge.sensitivity import information_gain
from planner.adapting.next import NOTHING, Next
from planner.alternatives import alternatives
from planner.objectives import Why, progress, stop

GAIN_MIN = 0.08
"""Bits below which trying another kind of fault is not worth a sentence."""
IDEAS_MAX = 8


def next_ideas(
    plan: Plan, evidence: Evidence, beliefs: Sequence[Belief], system: System, ahead: Next = NOTHING
) -> tuple[str, ...]:
    """In words, the most telling first; the last says how far the system's places are settled.

    ``ahead``: experiments that the results ask for, which the next session takes up.
    """
    planned = {experiment.id: experiment for experiment in plan.experiments}
    held = {(b.weakness, b.place): b for b in beliefs}
    ideas: list[tuple[float, str]] = []
    cut_short = 0
    ideas += [(1 + each.value, each.text) for each in ahead.follow_ups]
    ideas += [(1.0, text) for text in ahead.thresholds]
    for result in evidence.results:
        for judged in result.hypotheses:
            if judged.verdict is Verdict.ABORTED:
                cut_short += 1
                continue
            belief = held.get((judged.weakness, judged.place))
            ideas += _ideas(judged, planned[result.experiment], belief, system)
    if cut_short:
        unanswered = wording.many(cut_short, "question")
        ideas.append((2.0, f"Plan again: {unanswered} got no answer, as the run was cut short."))
    ranked = sorted(ideas, key=lambda idea: (-idea[0], idea[1]))
    broke = {(h.weakness, h.place) for r in evidence.results for h in r.hypotheses if h.verdict is Verdict.BREAKS}
    return (*dict.fromkeys(text for _, text in ranked[:IDEAS_MAX]), *_how_far(beliefs, broke, system, ahead))


def _ideas(
    judged: HypothesisResult, experiment: Experiment, belief: Belief | None, system: System
) -> Iterator[tuple[float, str]]:
    what = f"{wording.named(judged.weakness)} at {judged.place}"
    fault = experiment.actions[0].fault
    if judged.verdict is Verdict.INCONCLUSIVE and belief is None:
        yield 1.0, f"Try again: {what} was {judged.verdict.value} ({judged.reason})."
    elif judged.verdict is Verdict.HOLDS and belief is not None:
        best = _best_other(belief, system)
        if best and best[1] >= GAIN_MIN:
            yield (
                best[1],
                f"Try another kind of fault: {what} held under “{fault.words()}”, but “{best[0].words()}” "
                f"might still show it (P(present) {belief.probability:.0%}).",
            )


def _best_other(belief: Belief, system: System) -> tuple[Fault, float] | None:
    """A fault of a type not tried here yet that would tell most, with its expected bits."""
    gains = [
        (fault, information_gain(belief.probability, belief.weakness, (fault.looks().value,)))
        for fault in alternatives(belief.weakness, belief.place, system)
        if fault.looks().value not in belief.tested
    ]
    return max(gains, key=lambda pair: pair[1], default=None)


def _how_far(beliefs: Sequence[Belief], found: Collection[Key], system: System, ahead: Next) -> Iterator[str]:
    """How far the objective is met; and if nothing is left that would bring it further, that this is so."""
    reached = progress(beliefs, system, found)
    yield reached.words()
    gains = [each.value for each in ahead.follow_ups]
    gains += [best[1] for b in beliefs if (b.weakness, b.place) in reached.open and (best := _best_other(b, system))]
    ends = stop(gains, reached=reached)
    if ends is not None and ends.why is not Why.OBJECTIVE:
        yield f"It ends here: {ends.text}."
