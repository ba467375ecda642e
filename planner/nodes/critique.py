"""``critique``: one expert says what it thinks of the others' proposals. One task an expert, side by side."""

from __future__ import annotations

from pydantic import TypeAdapter

from experts.brief import Brief
from experts.playbook import COUNCIL
from experts.proposal import Critique, Proposal
from experts.voices import critiqued
from planner.shelf import answer_key
from planner.state import Asked, State
from planner.tools import Tools

_CRITIQUES = TypeAdapter(list[Critique])


def critique(asked: Asked, tools: Tools) -> State:
    """Ask, unless this very question was answered before a crash."""
    expert = tools.expert(asked["expert"])
    brief = Brief.model_validate(asked["brief"])
    proposals = [Proposal.model_validate(each) for each in asked["proposals"]]
    key = answer_key("critique", asked["plan_id"], expert.name, expert.model)
    tools.progress("critique", f"{expert.name} weighs the others' proposals")
    before = len(expert.notes)
    answer = tools.shelf.answer(key, lambda: _CRITIQUES.dump_json(expert.critique(proposals, brief)).decode())
    given = _CRITIQUES.validate_json(answer)
    critiques = critiqued(given, expert.name, expert.model, proposals, brief) if expert.name in COUNCIL else given
    vetoes = sum(each.veto for each in critiques)
    said = f"{expert.name} comments on {len(given)}" + (f" and vetoes {vetoes}" if vetoes else "")
    tools.progress("critique", said)
    return {"critiques": [each.model_dump(mode="json") for each in critiques], "notes": expert.notes[before:]}
