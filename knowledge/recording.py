"""From a finished run to rows of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

from executor.model.evidence import Evidence, ExperimentResult, Finding, HypothesisResult
from executor.model.plan import Experiment, Hypothesis, Plan
from executor.model.system import System
from knowledge.exposure import exposure
from knowledge.fault_types import fault_text
from knowledge.features import describe
from knowledge.resilience.measures import measures
from knowledge.schema import ActionRow, Base, ExperimentRow, FindingRow, MeasureRow, PredictionRow, ResultRow, Run


def rows_of(plan: Plan, evidence: Evidence, findings: Sequence[Finding], system: System) -> Iterator[Sequence[Base]]:
    """Rows in layers, each of which refers only to those before it. Experiments that never began leave none."""
    yield [_run(plan, evidence)]
    planned = {experiment.id: experiment for experiment in plan.experiments}
    pairs = [(planned[result.experiment], result) for result in evidence.results]
    yield [_experiment(evidence.run, position, *pair) for position, pair in enumerate(pairs)]
    yield [
        ActionRow(run=evidence.run, experiment=each.id, position=n, action=action.model_dump(mode="json"))
        for each, _ in pairs
        for n, action in enumerate(each.actions)
    ]
    results = [row for experiment, result in pairs for row in _results(evidence.run, experiment, result, system)]
    for position, row in enumerate(results):
        row.position = position
    yield results
    yield [row for experiment, result in pairs for row in _predictions(evidence.run, experiment, result)]
    told = [measure for experiment, result in pairs for measure in measures(experiment, result, system)]
    yield [MeasureRow(run=evidence.run, position=n, **asdict(measure)) for n, measure in enumerate(told)]
    yield [
        FindingRow(id=found.id, run=evidence.run, position=position, finding=found.model_dump(mode="json"))
        for position, found in enumerate(findings)
    ]


def exposures(plan: Plan, evidence: Evidence, system: System) -> Iterator[tuple[str, dict[str, Any]]]:
    """(hypothesis, what it was exposed to) of each result, for rows that were written without.

    What the plan does not have is left out: its file may have been changed since.
    """
    planned = {experiment.id: experiment for experiment in plan.experiments}
    for result in evidence.results:
        experiment = planned.get(result.experiment)
        if experiment is None:
            continue
        for hypothesis, _ in _judged(experiment, result):
            yield hypothesis.id, exposure(experiment, hypothesis, system, result).as_json()


def _run(plan: Plan, evidence: Evidence) -> Run:
    return Run(
        run=evidence.run,
        plan_id=evidence.plan_id,
        plan_digest=evidence.plan_digest,
        system=plan.system_name,
        system_digest=evidence.system_digest,
        environment=evidence.environment.value,
        goal=plan.goal,
        approver=evidence.approver,
        started=evidence.started.astimezone(UTC).isoformat(timespec="microseconds"),
        duration_s=evidence.duration_s,
        outcome=evidence.outcome,
    )


def _experiment(run: str, position: int, experiment: Experiment, result: ExperimentResult) -> ExperimentRow:
    return ExperimentRow(
        run=run,
        experiment=experiment.id,
        position=position,
        title=experiment.title,
        trials=result.trials,
        aborted=result.aborted,
        figures=[figure.model_dump(mode="json") for figure in result.figures],
    )


def _results(run: str, experiment: Experiment, result: ExperimentResult, system: System) -> Iterator[ResultRow]:
    fault = " + ".join(fault_text(action.fault) for action in experiment.actions)
    types = tuple(sorted({action.fault.looks().value for action in experiment.actions}))
    for hypothesis, judged in _judged(experiment, result):
        features = describe(
            system,
            hypothesis.weakness,
            hypothesis.place,
            fault_types=types,
            text=f"{hypothesis.statement}\n{fault}\n{judged.verdict}: {judged.reason}",
        )
        yield ResultRow(
            run=run,
            hypothesis=hypothesis.id,
            experiment=experiment.id,
            weakness=hypothesis.weakness.value,
            place=hypothesis.place,
            statement=hypothesis.statement,
            fault=fault,
            verdict=judged.verdict.value,
            reason=judged.reason,
            predicted=judged.predicted,
            features=asdict(features),
            exposure=exposure(experiment, hypothesis, system, result).as_json(),
        )


def _predictions(run: str, experiment: Experiment, result: ExperimentResult) -> Iterator[PredictionRow]:
    for hypothesis, _ in _judged(experiment, result):
        for expert, probability in dict(hypothesis.prediction.by).items():
            yield PredictionRow(run=run, hypothesis=hypothesis.id, expert=expert, probability=probability)


def _judged(experiment: Experiment, result: ExperimentResult) -> Iterator[tuple[Hypothesis, HypothesisResult]]:
    judged = {each.hypothesis: each for each in result.hypotheses}
    for hypothesis in experiment.hypotheses:
        if hypothesis.id in judged:
            yield hypothesis, judged[hypothesis.id]
