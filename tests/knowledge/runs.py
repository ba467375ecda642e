"""Whole small runs, as the executor would leave them: a plan, its evidence, its system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from executor.model.criteria import SteadyState
from executor.model.digest import digest
from executor.model.evidence import CriterionResult, Evidence, ExperimentResult, Figure, HypothesisResult
from executor.model.faults import Fault
from executor.model.faults.service import Error
from executor.model.plan import (
    Action,
    EdgeTarget,
    Experiment,
    Hypothesis,
    InstanceTarget,
    Plan,
    Prediction,
    Stage,
)
from executor.model.probe import Check, HttpProbe, Slo
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import Environment, Phase, ServiceKind, Verdict, Weakness

MORNING = datetime(2026, 11, 1, 9, tzinfo=UTC)


@cache
def small_system(name: str = "store") -> System:
    """front → back → db, and front → side; front's home is critical."""
    services = (
        service("front", criticality=3, operations=(check("home", "front", critical=True),)),
        service("back", criticality=2, operations=(check("list", "back"),)),
        service("side", criticality=0, operations=(check("tips", "side"),)),
        service("db", kind=ServiceKind.DATABASE, technology="postgresql", criticality=3),
    )
    edges = (("front", "back", "http"), ("front", "side", "http"), ("back", "db", "postgresql"))
    dependencies = tuple(Dependency(caller=a, callee=b, protocol=p) for a, b, p in edges)  # type: ignore[arg-type]
    return System(name=name, services=services, dependencies=dependencies)


def service(name: str, kind: ServiceKind = ServiceKind.HTTP, technology: str = "flask", **fields: Any) -> Service:
    return Service(
        name=name,
        kind=kind,
        technology=technology,
        instances=(ProcessInstance(id=f"{name}-1", command=f"{name}.py"),),
        **fields,
    )


def check(name: str, of: str, *, critical: bool = False) -> Check:
    return Check(
        id=name, service=of, probe=HttpProbe(url="http://127.0.0.1:1/"), slo=Slo(latency_ms_max=500), critical=critical
    )


@dataclass(frozen=True)
class Case:
    """One experiment with one hypothesis, and how it came out."""

    verdict: Verdict
    weakness: Weakness = Weakness.HARD_DEPENDENCY
    place: str = "front->back"
    fault: Fault = field(default_factory=Error)
    checks: tuple[str, ...] = ("home",)
    availability: float = 1.0
    by: tuple[tuple[str, float], ...] = (("network-engineer", 0.6), ("historian", 0.2))
    reason: str = "home: 3 of 40 (8 %) good"
    aborted: str = ""


def plan_of(cases: Sequence[Case], system: System, name: str = "plan-1") -> Plan:
    experiments = tuple(_experiment(number, case, system) for number, case in enumerate(cases))
    return Plan(
        id=name,
        system_name=system.name,
        system_digest=digest(system),
        environment=Environment.DEVELOPMENT,
        proposer="tester",
        stages=tuple(Stage(experiments=(experiment,)) for experiment in experiments),
    )


def evidence_of(cases: Sequence[Case], plan: Plan, run: str = "run-1", at: datetime = MORNING) -> Evidence:
    return Evidence(
        run=run,
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest({}),
        system_digest=plan.system_digest,
        environment=plan.environment,
        approver="tester",
        started=at,
        duration_s=12,
        outcome="completed",
        timeline=(),
        targets=(),
        results=tuple(_result(e, case) for e, case in zip(plan.experiments, cases, strict=True)),
        observation_count=40,
        versions={},
        cost={},
    )


def _experiment(number: int, case: Case, system: System) -> Experiment:
    caller, _, callee = case.place.rpartition("->")
    checks = tuple(c for s in system.services for c in s.operations)
    hypothesis = Hypothesis(
        id=f"h{number}",
        weakness=case.weakness,
        place=case.place,
        statement=f"{case.checks[0]} keeps working while {case.place} is at fault",
        criteria=(SteadyState(checks=case.checks),),
        prediction=Prediction(probability_breaks=0.5, by=case.by),
        remedy="Give it a fallback.",
    )
    return Experiment(
        id=f"e{number}",
        title=f"{case.fault.kind} on {case.place}",
        hypotheses=(hypothesis,),
        checks=checks,
        actions=(
            Action(
                id=f"a{number}",
                fault=case.fault,
                target=InstanceTarget(service=callee)
                if case.fault.target_kind == "instances"
                else EdgeTarget(caller=caller or callee, callee=callee),
                duration_s=4,
            ),
        ),
        abort_conditions="none",
    )


def _result(experiment: Experiment, case: Case) -> ExperimentResult:
    (hypothesis,) = experiment.hypotheses
    return ExperimentResult(
        experiment=experiment.id,
        trials=1,
        hypotheses=(
            HypothesisResult(
                hypothesis=hypothesis.id,
                weakness=case.weakness,
                place=case.place,
                verdict=case.verdict,
                reason=case.reason,
                criteria=(
                    CriterionResult(
                        kind="steady_state", verdict=case.verdict, measured=case.reason, limit="at least 90 %"
                    ),
                ),
                predicted=0.5,
            ),
        ),
        figures=tuple(
            Figure(
                name="availability",
                of=check.id,
                phase=Phase.FAULT,
                value=case.availability if check.id in case.checks else 1.0,
                unit="ratio",
                n=40,
            )
            for check in experiment.checks
        ),
        reverts=(),
        aborted=case.aborted,
    )
