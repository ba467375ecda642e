"""``recall``: what earlier runs have taught, here and on similar systems."""

from __future__ import annotations

from experts.track_record import track_record, weights
from knowledge.ledger import Ledger
from planner.beliefs import recollect
from planner.state import State, system_of
from planner.tools import Tools


def recall(state: State, tools: Tools) -> State:
    """Beliefs and past results for the brief, and how much each expert's word has come to count."""
    tools.progress("recall", "what earlier runs have taught")
    found = recollect(tools.home, system_of(state))
    with Ledger.open(tools.home) as ledger:
        record = track_record(ledger.predictions())
    said = f"{found.runs} earlier runs of this system are taken into account" if found.runs else ""
    return {
        "recalled": {
            "beliefs": [known.model_dump(mode="json") for known in found.known],
            "past": [past.model_dump(mode="json") for past in found.past],
        },
        "weights": weights(record),
        "notes": [said] if said else [],
    }
