"""How much a weakness matters: how critical what was hurt is, and how badly it was hurt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from executor.model.criteria import CallsWithin
from executor.model.evidence import ExperimentResult, Figure, HypothesisResult
from executor.model.plan import Experiment, Hypothesis
from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import Phase, Severity, Verdict

_BADLY = (0.9, 0.5)
"""Below the first share of good answers a check is hurt badly, below the second severely."""
_LATE = (2.0, 5.0)
"""From so many times the promised latency on, the same."""
_FLOOD = (2.0, 5.0)
"""From so many times the usual calls on, the same."""
_LEAST_POINTS = ((6, Severity.CRITICAL), (4, Severity.HIGH), (2, Severity.MEDIUM), (0, Severity.LOW))


def harm(
    experiment: Experiment, hypothesis: Hypothesis, result: ExperimentResult, judged: HypothesisResult, system: System
) -> tuple[Severity, str]:
    """The severity of a hypothesis that broke, and what users kept, in words.

    Points: the criticality of the hurt service (0–3), one if the check is critical, and up to two for how badly it was
    hurt; the worst check counts. Where no check was hurt (a blind spot, a flood of calls), the place's own criticality.
    """
    hurt = list(_hurt(experiment, hypothesis, judged))
    criticality = {service.name: service.criticality for service in system.services}
    points = [criticality.get(check.service, 1) + check.critical + _how_badly(check, result.figures) for check in hurt]
    if not points:
        ends = [criticality.get(name, 1) for name in hypothesis.place.split("->")]
        points = [max(ends) + _flood(hypothesis, result.figures)]
    severity = next(severity for least, severity in _LEAST_POINTS if max(points) >= least)
    return severity, "".join(f" {line}" for line in _kept(hurt, result.figures))


def _hurt(experiment: Experiment, hypothesis: Hypothesis, judged: HypothesisResult) -> Iterator[Check]:
    """Checks of the criteria that were violated; of all criteria, if the results do not tell which."""
    told = len(judged.criteria) == len(hypothesis.criteria)
    names: dict[str, None] = {}
    for number, criterion in enumerate(hypothesis.criteria):
        if not told or judged.criteria[number].verdict is Verdict.BREAKS:
            names.update(dict.fromkeys(getattr(criterion, "checks", ())))
    yield from (check for check in experiment.checks if check.id in names)


def _how_badly(check: Check, figures: Iterable[Figure]) -> int:
    worst = 0
    for figure in figures:
        if figure.of != check.id:
            continue
        if figure.name == "availability" and figure.phase is Phase.FAULT:
            worst = max(worst, sum(figure.value < share for share in _BADLY))
        elif figure.name == "residual":
            worst = max(worst, sum(1 - figure.value < share for share in _BADLY))
        elif figure.name == "latency_p95" and figure.phase is Phase.FAULT and check.slo.latency_ms_max:
            worst = max(worst, sum(figure.value >= times * check.slo.latency_ms_max for times in _LATE))
    return worst


def _flood(hypothesis: Hypothesis, figures: Iterable[Figure]) -> int:
    edges = {f"{c.caller}->{c.callee}" for c in hypothesis.criteria if isinstance(c, CallsWithin)}
    factors = [figure.value for figure in figures if figure.name == "amplification" and figure.of in edges]
    return max((sum(factor >= times for times in _FLOOD) for factor in factors), default=0)


def _kept(hurt: Iterable[Check], figures: Iterable[Figure]) -> Iterator[str]:
    shares = {f.of: f for f in figures if f.name == "availability" and f.phase is Phase.FAULT}
    for check in hurt:
        if check.id in shares:
            share = shares[check.id]
            name = f"{'Critical check' if check.critical else 'Check'} {check.id} of {check.service}"
            yield f"{name} kept {share.value * 100:.0f} % of {share.n} answers."
