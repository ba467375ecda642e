"""Who serves: which instances answered in which phase, and who of them no longer does."""

from __future__ import annotations

from executor.measure.columns import Series
from executor.measure.containment import reaches
from executor.measure.detection import CUT_SHORT
from executor.measure.samples import Samples
from executor.model.plan import Experiment, InstanceTarget
from executor.model.probe import Check, HttpProbe
from executor.model.vocabulary import FaultType, Phase

DOWN = frozenset({FaultType.DEAD, FaultType.STOPPED, FaultType.SILENT})
"""What an instance looks like that serves nobody."""
CHANCE = 0.001
"""It is chance if somebody's turn did not come with at least this probability."""


def downed(experiment: Experiment) -> frozenset[str]:
    """Services of which the experiment takes instances down."""
    return frozenset(
        action.target.service
        for action in experiment.actions
        if isinstance(action.target, InstanceTarget) and action.fault.looks() in DOWN
    )


def telling(experiment: Experiment) -> list[Check]:
    """Checks whose answers may name who gave them, and that may feel the fault."""
    return [
        check
        for check in experiment.checks
        if isinstance(check.probe, HttpProbe) and check.probe.answered_by is not None and reaches(check, experiment)
    ]


def absent(before: Series, later: Series) -> list[str]:
    """Who gave some of the good answers before, and none of those later, where that is no chance."""
    good, more = int(before.ok.sum()), int(later.ok.sum())
    shares = {name: len(before.given_by(name)) / good for name in before.by}
    return [name for name, share in shares.items() if name not in later.by and (1 - share) ** more < CHANCE]


def gone(check: Check, samples: Samples) -> list[str]:
    """Of several who had shared the work before the fault, those who did none under it.

    One who was alone before may have been replaced for good: a fail-over need not be taken back.
    """
    before = samples.within(check.id, Phase.BASELINE)
    if len(before.by) < 2:
        return []
    under = samples.within(check.id, Phase.FAULT)
    return absent(before, under) if under.by else before.by


def missing(check: Check, samples: Samples) -> list[str]:
    """Those of them who have given no good answer since the revert either."""
    back = samples.within(check.id, Phase.RECOVERY).by
    return [name for name in gone(check, samples) if name not in back]


def told(error: str) -> bool:
    """Whether an answer came at all: silence is neither "listed" nor "not listed"."""
    return not error.startswith(CUT_SHORT)
