"""``compile``: proposals become candidate experiments, by arithmetic and rules alone."""

from __future__ import annotations

from experts.proposal import Critique, Proposal
from planner.compile import compile_candidates
from planner.state import State, brief_of, limits_of
from planner.tools import Tools


def compile(state: State, tools: Tools) -> State:  # noqa: A001 - the node's name is the step's
    """Merge equal faults on equal targets, and say how each hypothesis is judged."""
    found = compile_candidates(
        [Proposal.model_validate(each) for each in state.get("proposals", [])],
        [Critique.model_validate(each) for each in state.get("critiques", [])],
        brief_of(state),
        limits=limits_of(state),
        weights=state["weights"],
    )
    tools.progress("compile", f"{len(found.experiments)} candidate experiments")
    return {
        "candidates": [experiment.model_dump(mode="json") for experiment in found.experiments],
        "notes": list(found.notes),
    }
