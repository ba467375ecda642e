"""``run``: the executor carries the plan out, once; a run that died is brought to its end, never begun again."""

from __future__ import annotations

from executor.errors import SafetyRefusalError
from executor.model.approval import Approval
from executor.run import engine
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from planner.interrupted import record_interrupted
from planner.state import State, approval_of, limits_of, plan_of, system_of
from planner.tools import Tools


def run(state: State, tools: Tools) -> State:
    """Leave the evidence in the home, under the name that follows from the approval.

    Raises what ``engine.run`` raises when it may not begin; the approval is then as it was.
    """
    approval = approval_of(state)
    plan, system, limits = plan_of(state), system_of(state), limits_of(state)
    use = state.get("use", 1)
    name = engine.run_id(approval, use)
    if engine.load_evidence(tools.home, name) is not None:
        return {"run": name}
    if begun(tools.home, approval, use):
        _refuse_live(tools.home, name)
        tools.progress("run", f"{name} had died: undoing what it left")
        recover(tools.home)
        record_interrupted(tools.home, name, plan, approval, system=system, limits=limits)
        return {"run": name, "notes": [f"{name} was interrupted by a crash; it is not begun again"]}
    engine.run(
        plan, approval, system=system, limits=limits, home=tools.home, use=use, report=tools.report, stop=tools.stop
    )
    return {"run": name}


def _refuse_live(home: Home, name: str) -> None:
    """Another process may be carrying it out right now: that run is no corpse."""
    journal = Journal(home.journal)
    try:
        live = any(row.run == name and (row.alive or row.elsewhere) for row in journal.running())
    finally:
        journal.close()
    if live:
        raise SafetyRefusalError(
            "single use", measured=f"{name} is under way", limit="one run", hint="Wait for its end."
        )


def begun(home: Home, approval: Approval, use: int) -> bool:
    """Whether the run that this use of the approval is good for has begun."""
    journal = Journal(home.journal)
    try:
        return engine.run_id(approval, use) in journal.used(approval.grant.nonce)
    finally:
        journal.close()
