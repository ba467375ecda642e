"""``learn``: evidence becomes findings, and all of it becomes knowledge. Safe to repeat."""

from __future__ import annotations

from executor.errors import InputError, UnavailableError
from executor.run.engine import load_evidence
from knowledge.findings import findings
from knowledge.ledger import Ledger
from knowledge.memory import Memory
from planner.state import State, plan_of, system_of
from planner.tools import Tools


def learn(state: State, tools: Tools) -> State:
    """Record the run in the ledger and in memory. Raises ``InputError`` if its evidence has been removed."""
    name, plan, system = state["run"] or "", plan_of(state), system_of(state)
    tools.progress("learn", f"what {name} has shown")
    evidence = load_evidence(tools.home, name)
    if evidence is None:
        raise InputError("the evidence is no longer there.", where=name)
    found = findings(plan, evidence, system)
    notes = []
    with Ledger.open(tools.home) as ledger:
        ledger.record(plan, evidence, found, system)
        try:
            with Memory(tools.home, ledger) as memory:
                memory.remember(name)
        except UnavailableError as error:  # the ledger has it; whoever opens memory next takes it in from there
            notes.append(str(error))
    return {"findings": [finding.model_dump(mode="json") for finding in found], "notes": notes}
