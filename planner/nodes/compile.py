"""``compile``: proposals become candidate experiments, by arithmetic and rules alone."""

from __future__ import annotations

from executor.measure.certain import can_be
from executor.model.plan import Experiment
from experts.proposal import Critique, Proposal
from planner.adapting.follow_up import FollowUp
from planner.adapting.next import thresholds
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
    short = thresholds([FollowUp.model_validate(each) for each in state.get("follow_ups", [])])
    candidates = [_briefly(each) if each.id in short and can_be(each) else each for each in found.experiments]
    tools.progress("compile", f"{len(candidates)} candidate experiments")
    return {
        "candidates": [experiment.model_dump(mode="json") for experiment in candidates],
        "notes": list(found.notes),
    }


def _briefly(experiment: Experiment) -> Experiment:
    """The same, ended as soon as it is sure to break: a step of a search asks for nothing but that."""
    return Experiment.model_validate({**experiment.model_dump(), "ends_when_certain": True})
