"""From a selection to a plan, in the order in which it should be run."""

from __future__ import annotations

from executor.model import wording
from executor.model.digest import digest
from executor.model.plan import Plan, Stage
from executor.model.system import System
from experts.brief import Brief
from planner.optimise import Selection, length


def assemble(chosen: Selection, brief: Brief, *, plan_id: str, proposer: str, candidates: int) -> Plan:
    """The plan for a person to read and sign. Deterministic: equal input gives a byte-identical plan."""
    system = brief.system
    total_s = length(chosen.stages)
    front = sum(experiment.id in chosen.front for experiment in chosen.experiments)
    runs = sorted({past.run for past in brief.past if past.system == system.name})
    told = [
        f"{len(chosen.experiments)} of {candidates} candidate experiments, about {wording.duration(total_s)}; {front} "
        "of them cannot be beaten in what they teach, risk and cost at once. "
        f"It ends here because {chosen.reason}. What is easily undone comes first.",
    ]
    if runs:
        told.append(f"Taken into account: {', '.join(runs[-5:])}.")
    return plan_on(
        system,
        plan_id=plan_id,
        proposer=proposer,
        goal=brief.goal,
        rationale=" ".join(told),
        stages=tuple(Stage(experiments=stage) for stage in chosen.stages),
    )


def plan_on(
    system: System, *, plan_id: str, proposer: str, goal: str, rationale: str, stages: tuple[Stage, ...]
) -> Plan:
    """A plan for a system as it is now."""
    return Plan(
        id=plan_id,
        system_name=system.name,
        system_digest=digest(system),
        environment=system.environment,
        goal=goal,
        rationale=rationale,
        proposer=proposer,
        stages=stages,
    )
