"""Retry discipline: while a dependency fails, its caller does not multiply its calls.

Source: B. Beyer et al., "Site Reliability Engineering" (2016), chapter 22, "Retries" (amplification of load).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.calls import total
from executor.measure.criteria import calls_within
from executor.measure.criteria.common import ANSWERS_MIN, Part
from executor.measure.criteria.common import words as words_of
from executor.measure.detection import CUT_SHORT
from executor.measure.samples import Samples
from executor.measure.validators.common import promised_factors, validation
from executor.measure.validators.felt import Edge, asks, counted, drivers_unwell, good_of, injected, untried
from executor.model.criteria import CallsWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment, InstanceTarget
from executor.model.vocabulary import Phase, Verdict

FACTOR_MAX = 3.0
"""Two retries a call are the most that a dependency in trouble should have to bear, if no hypothesis says otherwise."""
CALLS_MIN = 3
"""Fewer calls than this under the fault leave nothing that could have been multiplied."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result an edge to what was struck on which calls are counted (a managed proxy stands on it).

    Measured is the amplification: calls per second that arrived under the fault ÷ before it, with its 95 % interval.
    Few calls show nothing where callers were still waiting when the fault ended (they may not have come to their
    retries), or where the callee was there for most of the time.
    """
    told = injected(trials)
    for edge in counted(experiment, told):
        wanted = CallsWithin(caller=edge[0], callee=edge[1], factor_max=_bound(edge, experiment))
        said = calls_within.judge(wanted, experiment, told)
        part = Part(said.verdict, said.measured)
        during = total(told, *edge, Phase.FAULT)
        if during is not None and during.count < CALLS_MIN:
            words = f"{'->'.join(edge)}: only {during.count} calls under the fault, nothing that could be multiplied"
            part = Part(Verdict.INCONCLUSIVE, words)
        if part.verdict is Verdict.HOLDS and (
            why := _waiting(edge, experiment, told) or _there(edge, experiment, told)
        ):
            part = Part(Verdict.INCONCLUSIVE, f"{part.measured}; {why}")
        if unwell := drivers_unwell(edge, experiment, told):
            part = Part(Verdict.INCONCLUSIVE, unwell)
        yield validation("retry_discipline", "->".join(edge), [part], said.limit)


def _waiting(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> str:
    """Why callers may not have made all their calls yet, in words: most were not answered; empty: they were.

    Told by those that were asked in the first half of the fault phase. One that we gave up on is still at it.
    """
    answered = asked = 0
    for check in (check for check in experiment.checks if asks(check, edge)):
        for samples in trials:
            begin_s, end_s = samples.bounds(Phase.FAULT)
            series = samples.between(check.id, begin_s, (begin_s + end_s) / 2)
            done = (series.answered_s <= end_s) & ~series.fails_with(CUT_SHORT)
            answered, asked = answered + int(np.count_nonzero(done)), asked + len(series)
    if 2 * answered >= asked:
        return ""
    return (
        f"{edge[0]} was still at {asked - answered} of {asked} requests when the fault ended, retries perhaps to come"
    )


def _there(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> str:
    """Why there was hardly anything to call again for, in words; empty: there was, as far as is known."""
    if any(isinstance(a.target, InstanceTarget) and a.target.service == edge[1] for a in experiment.actions):
        good = good_of(edge[1], experiment, [(samples, samples.bounds(Phase.FAULT)) for samples in trials])
        if good.n >= ANSWERS_MIN and good.high >= 0.5:
            return f"{edge[1]} was not away all the time: {words_of(good)} good"
    return untried(experiment, trials)


def _bound(edge: Edge, experiment: Experiment) -> float:
    """As the hypotheses promise. A bound below 1 speaks of a breaker, not of retries."""
    wanted = (factor for factor in promised_factors(experiment, edge) if factor >= 1)
    return min(wanted, default=FACTOR_MAX)
