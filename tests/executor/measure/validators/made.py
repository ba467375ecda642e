"""An experiment on ``base``, which ``front`` asks, and trials of it made to measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from executor.measure.samples import Samples
from executor.measure.validators.table import VALIDATORS
from executor.model.criteria import Criterion, SteadyState
from executor.model.evidence import Observation, Validation
from executor.model.faults import Fault
from executor.model.faults.service import DependencyFailure
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, DetectionSignal, Slo, TcpProbe
from executor.model.vocabulary import Weakness
from tests.executor.measure.records import FAULT_S, Answer, observations, well
from tests.executor.measure.records import trial as trial_of

EDGE = "front->base"
AWAY = DependencyFailure(mode="blackhole")
PROMISED = Slo(availability_min=0.9, latency_ms_max=300)
Says = Mapping[str, Callable[[float], Answer]]
"""By check or signal; others are well."""


def check(name: str, service: str = "front", **fields: Any) -> Check:
    return Check(**{"id": name, "service": service, "probe": TcpProbe(port=1), "slo": PROMISED, **fields})


VIA = check("via", needs=("front", "base"), exercises=(EDGE,))
SOFT = check("soft", needs=("front",), exercises=(EDGE,))
PLAIN = check("plain", needs=("front",), exercises=())
BASE = check("base", "base", needs=("base",), exercises=())
CHECKS = (VIA, SOFT, PLAIN, BASE)


def asked(
    fault: Fault = AWAY, *criteria: Criterion, checks: Sequence[Check] = CHECKS, signals: Sequence[str] = ()
) -> Experiment:
    on_edge = fault.target_kind == "edge"
    target = EdgeTarget(caller="front", callee="base") if on_edge else InstanceTarget(service="base")
    hypothesis = Hypothesis(
        id="h1",
        weakness=Weakness.HARD_DEPENDENCY,
        place=EDGE,
        statement="front holds without base",
        criteria=criteria or (SteadyState(checks=(checks[0].id,)),),
        prediction=Prediction(probability_breaks=0.5),
    )
    return Experiment(
        id="e1",
        title="t",
        hypotheses=(hypothesis,),
        checks=tuple(checks),
        signals=tuple(DetectionSignal(id=name, service="front", probe=TcpProbe(port=1)) for name in signals),
        actions=(Action(id="a1", fault=fault, target=target, duration_s=FAULT_S),),
        abort_conditions="none",
        recovery_deadline_s=4,
    )


def trial(
    experiment: Experiment, says: Says | None = None, *also: Sequence[Observation], number: int = 1, **fields: Any
) -> Samples:
    """One in which checks and signals answer so; ``also`` has counters."""
    told = says or {}
    series = [observations(c.id, told.get(c.id, well), rate_hz=c.rate_hz, trial=number) for c in experiment.checks]
    series = [[o if o.ok else _answered(o) for o in one] for one in series]
    series += [observations(s.id, told.get(s.id, well), rate_hz=5, trial=number) for s in experiment.signals]
    return trial_of(*series, *also, number=number, **fields)


def _answered(observation: Observation) -> Observation:
    return Observation(**{**observation.model_dump(), "status": 503})


def said(validator: str, experiment: Experiment, *trials: Samples) -> dict[str, Validation]:
    """What it says, by what it speaks of."""
    return {each.of: each for each in VALIDATORS[validator](experiment, trials)}


def one(validator: str, experiment: Experiment, *trials: Samples) -> Validation:
    (only,) = said(validator, experiment, *trials).values()
    return only
