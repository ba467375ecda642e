"""Retry discipline: while a dependency fails, its caller does not multiply its calls.

Source: B. Beyer et al., "Site Reliability Engineering" (2016), chapter 22, "Retries" (amplification of load).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.calls import total
from executor.measure.criteria import calls_within
from executor.measure.criteria.common import Part
from executor.measure.samples import Samples
from executor.measure.validators.common import promised_factors, validation
from executor.measure.validators.felt import Edge, counted, drivers_unwell, injected
from executor.model.criteria import CallsWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict

FACTOR_MAX = 3.0
"""Two retries a call are the most that a dependency in trouble should have to bear, if no hypothesis says otherwise."""
CALLS_MIN = 3
"""Fewer calls than this under the fault leave nothing that could have been multiplied."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result an edge to what was struck on which calls are counted (a managed proxy stands on it).

    Measured is the amplification: calls per second that arrived under the fault ÷ before it, with its 95 % interval.
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
        if unwell := drivers_unwell(edge, experiment, told):
            part = Part(Verdict.INCONCLUSIVE, unwell)
        yield validation("retry_discipline", "->".join(edge), [part], said.limit)


def _bound(edge: Edge, experiment: Experiment) -> float:
    """As the hypotheses promise. A bound below 1 speaks of a breaker, not of retries."""
    wanted = (factor for factor in promised_factors(experiment, edge) if factor >= 1)
    return min(wanted, default=FACTOR_MAX)
