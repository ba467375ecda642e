"""Evidence of a run whose executor was killed: that it began, what it was to do, and that it says nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from executor.measure.judge import judge
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.evidence import Evidence, RevertCheck
from executor.model.plan import Experiment, Plan
from executor.model.system import System
from executor.run.record import versions, write_atomically
from executor.safety.limits import Limits
from executor.state.home import Home
from executor.state.journal import Injection, Journal

_REASON = "the process that carried the run out died"


def record_interrupted(
    home: Home, run: str, plan: Plan, approval: Approval, *, system: System, limits: Limits
) -> Evidence:
    """Write and return it: every verdict ``aborted``, what others undid, and whatever is still owed.

    What was observed stays unjudged.
    """
    journal = Journal(home.journal)
    try:
        made = journal.of_run(run)
        begun = journal.store.read("SELECT started FROM runs WHERE run = ?", (run,))
    finally:
        journal.close()
    started = datetime.fromisoformat(begun[0]["started"]).astimezone(UTC) if begun else datetime.now(UTC)
    undone = [injection for injection in made if injection.state == "reverted"]
    owed = tuple(f"{each}: {each.error or 'not undone yet'}"[:400] for each in made if each not in undone)
    results = tuple(
        judge(experiment, (), started=started, aborted=_REASON).result(experiment, 0, _reverts(experiment, undone))
        for experiment in plan.experiments
    )
    evidence = Evidence(
        run=run,
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest(limits),
        system_digest=digest(system),
        environment=plan.environment,
        approver=approval.grant.approver,
        started=started,
        duration_s=0.0,
        outcome="interrupted",
        timeline=(),
        targets=(),
        results=results,
        owed=owed,
        observation_count=0,
        versions=versions(),
        cost={},
    )
    directory = home.run_dir(run)
    for name, value in (("plan", plan), ("approval", approval), ("system", system), ("limits", limits)):
        write_atomically(directory / f"{name}.json", value)
    write_atomically(directory / "evidence.json", evidence)
    return evidence


def _reverts(experiment: Experiment, undone: list[Injection]) -> tuple[RevertCheck, ...]:
    """As the journal has them: whoever undid a fault has asked its target."""
    return tuple(
        RevertCheck(
            action=each.action,
            reverted=True,
            verified=True,
            detail=f"{each.kind} on {each.subject}, undone by {each.by}"[:400],
        )
        for each in undone
        if each.experiment == experiment.id
    )
