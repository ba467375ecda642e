"""``propose``: one expert says what may be wrong, and how to find out. One task an expert, side by side."""

from __future__ import annotations

from pydantic import TypeAdapter

from experts.brief import Brief
from experts.proposal import Proposal
from experts.voices import proposed
from planner.shelf import answer_key
from planner.state import Asked, State
from planner.tools import Tools

_PROPOSALS = TypeAdapter(list[Proposal])


def propose(asked: Asked, tools: Tools) -> State:
    """Ask, unless this very question was answered before a crash."""
    expert = tools.expert(asked["expert"])
    brief = Brief.model_validate(asked["brief"])
    key = answer_key("propose", asked["plan_id"], expert.name, expert.model)
    tools.progress("propose", f"{expert.name} looks at the system")
    before = len(expert.notes)
    answer = tools.shelf.answer(key, lambda: _PROPOSALS.dump_json(expert.propose(brief)).decode())
    proposals = proposed(_PROPOSALS.validate_json(answer), expert.model)
    tools.progress("propose", f"{expert.name} proposes {len(proposals)}")
    return {"proposals": [proposal.model_dump(mode="json") for proposal in proposals], "notes": expert.notes[before:]}
