"""The simulated executor: stands in for the step ``run`` of the planner's graph, and for what ``brief`` asks of a host.

It leaves a run's evidence where the real one leaves it, so that all that follows (findings, ledger, memory, beliefs,
track record) is the planner's own. It needs no approval, for it touches nothing: every instance of a simulated system
has a pid that no process can have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from bench.gym.outcomes import Outcomes, Result
from bench.gym.striking import unknown
from executor.measure.judge import judge
from executor.model.digest import digest
from executor.model.evidence import Evidence, RevertCheck
from executor.model.plan import Experiment
from executor.run.record import versions, write_atomically
from experts.brief import Brief
from planner.state import State, constraints_of, limits_of, plan_of, system_of
from planner.tools import Tools

APPROVER = "simulated"


def brief(state: State, _tools: Tools) -> State:
    """As ``planner.nodes.brief``, but for what cannot be done here: the kinds of fault that the simulation lacks."""
    told = Brief.model_validate(
        {
            "system": system_of(state),
            "goal": state["goal"],
            "constraints": constraints_of(state),
            "unsupported": unknown(),
            **state["recalled"],
        }
    )
    return {"brief": told.model_dump(mode="json")}


def run(
    state: State,
    tools: Tools,
    outcomes: Outcomes,
    name: str,
    report: Callable[[Experiment, Result], None],
) -> State:
    """Carry the plan out on the simulation, an experiment after another, and leave the evidence under ``name``."""
    plan = plan_of(state)
    system = system_of(state)
    started = datetime.now(UTC)
    results = []
    seconds = 0.0
    for experiment in plan.experiments:
        trials = outcomes.trials(experiment)
        judgement = judge(experiment, trials, started=started)
        reverts = [RevertCheck(action=a.id, reverted=True, verified=True) for a in experiment.actions]
        results.append(judgement.result(experiment, len(trials), reverts))
        result = outcomes.read(experiment, trials, judgement.hypotheses)
        seconds += result.seconds
        report(experiment, result)
    evidence = Evidence(
        run=name,
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest(limits_of(state)),
        system_digest=digest(system),
        environment=system.environment,
        approver=APPROVER,
        started=started,
        duration_s=seconds,
        outcome="completed",
        timeline=(),
        targets=(),
        results=tuple(results),
        observation_count=0,
        versions={**versions(), "executor": "simulated"},
        cost={},
    )
    directory = tools.home.run_dir(name)
    write_atomically(directory / "plan.json", plan)
    write_atomically(directory / "system.json", system)
    write_atomically(directory / "evidence.json", evidence)
    return {"run": name}
