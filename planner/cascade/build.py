"""From one way of striking a service to an experiment that shows how far the failure spreads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from executor.model.plan import Action, Experiment, Hypothesis, Prediction
from executor.model.probe import Check
from executor.model.system import System
from knowledge.sensitivity import sensitivity
from planner import naming
from planner.cascade.questions import FAULT_S, Blow, Question, questions
from planner.recipes.case import Unfit
from planner.recipes.paths import checks_of, feels, names, struck_whole, upstream
from planner.watch import RATE_MAX_HZ, abort_conditions, checks_for, signals_for

ANSWERS = 24
"""So many answers of the slowest check under the fault tell a verdict."""
FAULT_S_MAX = 3600
"""A plan holds none that is longer, seconds."""
RECOVERY_S = 10.0
CHECKS_MAX = 20
"""So many checks are asked at most: those of as many services as can be first."""
BY = "cascade"


def experiment(blow: Blow, service: str, system: System, *, trials: int) -> Experiment | Unfit:
    """The experiment, with every question that it can answer; why not, if there is none."""
    asked = list(questions(blow, service, system))
    if not asked:
        return Unfit(f"nothing would be seen of {service}, {blow.title}: no operation that can tell uses it")
    checks = checks_for(_watched(asked, blow, service, system), blow.target, system)
    slowest_hz = min(check.rate_hz for check in checks)
    fault_s = max(FAULT_S, math.ceil(ANSWERS / slowest_hz), *(question.judging.fault_s for question in asked))
    if fault_s > FAULT_S_MAX:
        return Unfit(f"what is asked of {service} so rarely ({slowest_hz:g} times a second) tells nothing in an hour")
    judged = [name for q in asked for criterion in q.judging.criteria for name in getattr(criterion, "checks", ())]
    expected = [check.id for check in checks if feels(check, blow.target, system)]
    name = naming.experiment_id(blow.fault, blow.target)
    return Experiment(
        id=f"{BY}-{name}",
        title=f"Cascade from {service}, {blow.title}: {blow.fault.words()}"[:400],
        rationale=f"How far it spreads from {service}, {blow.title}, and what of it stays apart.",
        proposed_by=(BY,),
        hypotheses=tuple(_hypothesis(question, blow) for question in asked),
        checks=checks,
        signals=signals_for((), blow.target, system),
        actions=(Action(id=f"{name}-act", fault=blow.fault, target=blow.target, duration_s=fault_s),),
        abort_conditions=abort_conditions(checks, (*judged, *expected), [blow.target], fault_s, system),
        baseline_s=max(2.0, *(question.judging.baseline_s for question in asked)),
        recovery_deadline_s=RECOVERY_S,
        trials=trials,
    )


def _hypothesis(question: Question, blow: Blow) -> Hypothesis:
    told = question.judging
    seen = sensitivity(question.weakness, (blow.fault.looks().value,))
    return Hypothesis(
        id=naming.hypothesis_id(question.weakness, question.place, blow.fault, blow.target),
        weakness=question.weakness,
        place=question.place,
        statement=told.statement[:400],
        criteria=told.criteria,
        exercised_by=told.exercised_by,
        prediction=Prediction(probability_breaks=round(question.probability * seen, 4)),
        remedy=question.remedy,
    )


def _watched(asked: Sequence[Question], blow: Blow, service: str, system: System) -> tuple[str, ...]:
    """What is judged, and checks of all that reach the service; where load is to be inherited, none is thinned out."""
    judged = dict.fromkeys(name for question in asked for name in question.judging.checks)
    near = [check for check in _near(service, system) if check.id not in judged]
    if struck_whole(blow.target, system):
        return (*judged, *names(near[: max(0, CHECKS_MAX - len(judged))]))
    spare_hz = RATE_MAX_HZ / 2 - sum(check.rate_hz for check in checks_of(system) if check.id in judged)
    for check in near:
        if (spare_hz := spare_hz - check.rate_hz) < 0:
            break
        judged[check.id] = None
    return tuple(judged)


def _near(service: str, system: System) -> Sequence[Check]:
    """Of the service and all that reach it: one a service first, critical ones before others."""
    above = upstream(system, service)
    nth: dict[str, int] = {}
    ranked: list[tuple[int, bool, str, Check]] = []
    for check in checks_of(system):
        if check.service in above:
            nth[check.service] = nth.get(check.service, -1) + 1
            ranked.append((nth[check.service], not check.critical, check.id, check))
    return [check for *_, check in sorted(ranked, key=lambda each: each[:3])]


def unanswerable(found: Iterable[Experiment | Unfit]) -> tuple[str, ...]:
    """Why some did not become an experiment."""
    return tuple(dict.fromkeys(each.reason for each in found if isinstance(each, Unfit)))
