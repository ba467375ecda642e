"""``recall``: what earlier runs have taught, here and on similar systems."""

from __future__ import annotations

from executor.model.vocabulary import Verdict
from executor.model.wording import many
from experts.track_record import track_record, weights
from knowledge.ledger import Ledger
from planner.adapting.next import next_of
from planner.beliefs import Recollection, recollect
from planner.citations import quoted
from planner.state import State, system_of
from planner.tools import Tools

NAMED_MAX = 5
"""So many of the latest runs are named."""


def recall(state: State, tools: Tools) -> State:
    """Beliefs and past results for the brief, what these ask for next, and how much each expert's word counts."""
    tools.progress("recall", "what earlier runs have taught")
    system = system_of(state)
    found = recollect(tools.home, system)
    with Ledger.open(tools.home) as ledger:
        record = track_record(ledger.predictions())
        ahead = next_of(found.made, ledger.actions(system.name), system)
    quotations, cited = quoted(tools.home, system, state["goal"])
    said = _settled(found, system.name)
    return {
        "recalled": {
            "beliefs": [known.model_dump(mode="json") for known in found.known],
            "past": [past.model_dump(mode="json") for past in found.past],
            "quotations": [quotation.model_dump(mode="json") for quotation in quotations],
        },
        "follow_ups": [each.model_dump(mode="json") for each in ahead.follow_ups],
        "weights": weights(record),
        "notes": [note for note in (said, cited) if note],
    }


def _settled(found: Recollection, system: str) -> str:
    """What earlier runs of this system have shown, in one line; empty if there was none."""
    if not found.runs:
        return ""
    told = (Verdict.BREAKS, Verdict.HOLDS)  # a run that was cut short takes back nothing
    mine = (past for past in found.past if past.system == system and past.verdict in told)
    last = {(past.weakness, past.place): past.verdict for past in mine}
    broke = sum(verdict is Verdict.BREAKS for verdict in last.values())
    held = sum(verdict is Verdict.HOLDS for verdict in last.values())
    runs = "1 earlier run" if found.runs == 1 else f"{found.runs} earlier runs"
    names = list(dict.fromkeys(past.run for past in found.past if past.system == system))[-NAMED_MAX:]
    latest = "the latest " if found.runs > len(names) else ""
    weaknesses = "1 weakness" if broke == 1 else f"{broke} weaknesses"
    return (
        f"{runs} of this system ({latest}{', '.join(names)}) showed {weaknesses} and saw "
        f"{many(held, 'other suspicion')} hold; these are tried again only where another kind of fault may tell more"
    )
