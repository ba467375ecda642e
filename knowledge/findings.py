"""From evidence to findings: one for each weakness and place that an experiment of the run has shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor.model.evidence import CriterionResult, Evidence, ExperimentResult, Finding, HypothesisResult
from executor.model.plan import EdgeTarget, Experiment, Hypothesis, InstanceTarget, Plan, Target
from executor.model.system import System
from executor.model.vocabulary import Severity, Verdict
from knowledge.fault_types import fault_text
from knowledge.severity import harm

NO_REMEDY = "Not said by the plan; see the playbook of this weakness."


@dataclass(frozen=True)
class _Shown:
    """One hypothesis that broke."""

    experiment: Experiment
    hypothesis: Hypothesis
    result: HypothesisResult
    rank: int
    evidence: str
    """What was done, and what was measured."""


def findings(plan: Plan, evidence: Evidence, system: System) -> tuple[Finding, ...]:
    """The run's findings, worst first. Several experiments that show one weakness at one place make one finding."""
    merged: dict[tuple[str, str], list[_Shown]] = {}
    for shown in _shown(plan, evidence, system):
        merged.setdefault((shown.hypothesis.weakness.value, shown.hypothesis.place), []).append(shown)
    ranked = sorted(merged.items(), key=lambda item: (-max(shown.rank for shown in item[1]), item[0]))
    return tuple(_finding(evidence.run, group) for _, group in ranked)


def finding_id(run: str, weakness: str, place: str) -> str:
    """The same for the same run, weakness and place, whenever it is asked."""
    return "finding-" + hashlib.sha256(f"{run}\n{weakness}\n{place}".encode()).hexdigest()[:12]


def _shown(plan: Plan, evidence: Evidence, system: System) -> Iterator[_Shown]:
    planned = {experiment.id: experiment for experiment in plan.experiments}
    for result in evidence.results:
        experiment = planned[result.experiment]
        hypotheses = {hypothesis.id: hypothesis for hypothesis in experiment.hypotheses}
        for judged in result.hypotheses:
            if judged.verdict is Verdict.BREAKS:
                hypothesis = hypotheses[judged.hypothesis]
                severity, told = harm(experiment, hypothesis, result, judged, system)
                rank = list(Severity).index(severity)
                yield _Shown(experiment, hypothesis, judged, rank, _words(experiment, result, judged, told))


def _finding(run: str, group: Sequence[_Shown]) -> Finding:
    worst = max(group, key=lambda shown: shown.rank)  # of equals the first, which ran first
    others = [shown for shown in group if shown is not worst]
    weakness, place = worst.hypothesis.weakness, worst.hypothesis.place
    text = f"Under {worst.evidence}" + "".join(
        f"\nAlso under {s.evidence} (experiment {s.experiment.id})" for s in others
    )
    return Finding(
        id=finding_id(run, weakness.value, place),
        weakness=weakness,
        place=place,
        severity=list(Severity)[worst.rank],
        statement=worst.hypothesis.statement,
        evidence=_cut(text, 4000),
        run=run,
        experiment=worst.experiment.id,
        remedy=next((shown.hypothesis.remedy for shown in (worst, *others) if shown.hypothesis.remedy), NO_REMEDY),
        reproduce=f"murphy plan --again {run}/{worst.experiment.id}",
    )


def _words(experiment: Experiment, result: ExperimentResult, judged: HypothesisResult, told: str) -> str:
    """What was done, what was measured against what was wanted, and what users kept, as one sentence or two."""
    done = " and ".join(f"{fault_text(action.fault)} on {_target(action.target)}" for action in experiment.actions)
    broken = [criterion for criterion in judged.criteria if criterion.verdict is Verdict.BREAKS]
    seen = "; ".join(_criterion(criterion) for criterion in broken) or judged.reason
    trials = f" in {result.trials} trials" if result.trials > 1 else ""
    return f"{done}{trials}: {seen}.{told}"


def _criterion(criterion: CriterionResult) -> str:
    return f"{criterion.measured.rstrip('.')} (wanted: {criterion.limit})"


def _target(target: Target) -> str:
    if isinstance(target, InstanceTarget):
        return target.service
    if isinstance(target, EdgeTarget):
        return f"{target.caller}->{target.callee}"
    return f"{', '.join(target.a)} | {', '.join(target.b)}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
