"""The pace of a trial: how a fault is raised in steps, and how long recovery is watched at least."""

from __future__ import annotations

from executor.measure.criteria.common import ANSWERS_MIN
from executor.model.plan import Action, Experiment
from executor.model.vocabulary import Phase


def steps(action: Action) -> list[Action]:
    """The action at each strength before its full one, weakest first; none for an action without a ramp.

    Each is a fault of its own, undone before the next.
    """
    if action.ramp is None:
        return []
    found = []
    for number in range(1, action.ramp.steps):
        fault = action.fault.at(number / action.ramp.steps)
        assert fault is not None  # a ramp without a strength is no valid action
        found.append(Action(**{**dict(action), "fault": fault, "duration_s": action.ramp.hold_s, "ramp": None}))
    return found


def least_recovery_s(experiment: Experiment) -> float:
    """How long recovery is watched even if all is steady: until criteria that judge it have the answers they need."""
    longest = 0.0
    for criterion in experiment.criteria:
        if criterion.kind == "steady_state" and criterion.phase is Phase.RECOVERY:
            slowest = min(c.rate_hz for c in experiment.checks if c.id in criterion.checks)
            longest = max(longest, criterion.after_s + (ANSWERS_MIN + 1) / slowest)
    return longest
