"""Severity where it is not plain availability: slow answers, no recovery, floods of calls, blind spots."""

from __future__ import annotations

from typing import Any

import pytest

from executor.model.criteria import CallsWithin, Criterion, DetectedWithin, SteadyState
from executor.model.evidence import CriterionResult, ExperimentResult, Figure
from executor.model.plan import Experiment, Hypothesis
from executor.model.probe import DetectionSignal, TcpProbe
from executor.model.vocabulary import Phase, Severity, Verdict
from knowledge.severity import harm
from tests.knowledge.runs import Case, evidence_of, plan_of, small_system


def figure(name: str, of: str, value: float, unit: Any, phase: Phase | None = Phase.FAULT) -> Figure:
    return Figure(name=name, of=of, phase=phase, value=value, unit=unit, n=40)


def severity(figures: tuple[Figure, ...], *criteria: Criterion, place: str = "front->back") -> Severity:
    system = small_system()
    cases = (Case(Verdict.BREAKS, place=place),)
    plan = plan_of(cases, system)
    (experiment,) = plan.experiments
    (result,) = evidence_of(cases, plan).results
    (judged,) = result.hypotheses
    (hypothesis,) = experiment.hypotheses
    if criteria:
        hypothesis = Hypothesis(**{**_fields(hypothesis), "criteria": criteria})
        results = tuple(
            CriterionResult(kind=c.kind, verdict=Verdict.BREAKS, measured="as seen", limit="as wanted")
            for c in criteria
        )
        judged = type(judged)(**{**_fields(judged), "criteria": results})
    signal = DetectionSignal(id="alarm", service="back", probe=TcpProbe(port=1))
    experiment = Experiment(**{**_fields(experiment), "hypotheses": (hypothesis,), "signals": (signal,)})
    result = ExperimentResult(**{**_fields(result), "figures": figures, "hypotheses": (judged,)})
    return harm(experiment, hypothesis, result, judged, system)[0]


def _fields(model: Any) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((), Severity.HIGH),
        ((figure("latency_p95", "home", 900, "ms"),), Severity.HIGH),
        ((figure("latency_p95", "home", 9000, "ms"),), Severity.CRITICAL),
        ((figure("residual", "home", 1.0, "ratio", Phase.RECOVERY),), Severity.CRITICAL),
        ((figure("latency_p95", "home", 9000, "ms", Phase.RECOVERY),), Severity.HIGH),
        ((figure("availability", "tips", 0, "ratio"),), Severity.HIGH),
    ],
)
def test_slow_answers_and_lasting_harm_count_like_failed_ones(figures, expected):
    assert severity(figures) is expected


def test_a_flood_of_calls_counts_by_its_factor_and_the_place():
    criterion = CallsWithin(caller="front", callee="back", factor_max=1.5)
    by_factor = [
        severity((figure("amplification", "front->back", factor, "ratio"),), criterion) for factor in (1.6, 3, 8)
    ]
    assert by_factor == [Severity.MEDIUM, Severity.HIGH, Severity.HIGH]
    assert severity((figure("amplification", "front->side", 8, "ratio"),), criterion) is Severity.MEDIUM


def test_a_blind_spot_is_as_severe_as_its_place_is_critical():
    criterion = DetectedWithin(signal="alarm", within_s=2)
    assert severity((), criterion, place="db") is Severity.MEDIUM
    assert severity((), criterion, place="side") is Severity.LOW


def test_only_checks_of_violated_criteria_count():
    criteria = SteadyState(checks=("tips",)), DetectedWithin(signal="alarm", within_s=2)
    assert severity((figure("availability", "home", 0, "ratio"),), *criteria) is Severity.LOW
