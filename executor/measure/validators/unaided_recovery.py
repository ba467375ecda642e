"""Recovery without help: what was hurt is back while the fault is still Murphy's to undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria import recovers_within
from executor.measure.criteria.common import Part, line
from executor.measure.impact import impact
from executor.measure.samples import Samples
from executor.measure.validators.common import validation
from executor.measure.validators.felt import feels, injected, leaves_free, soft, unless_disturbed, what
from executor.model.criteria import RecoversWithin
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Verdict

WITHIN_S = 4.0
"""What a service is given to be back by itself, seconds, where no hypothesis says a time."""


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a check that may feel the fault and lost its steady state under it, by ``recovers_within``'s rules.

    Measured is the time from the injection until it was back for good, in seconds, with Murphy's revert not yet begun.
    Where the fault keeps away what the check needs, for as long as it lasts, nobody can expect it back: nothing is
    told. Where ``needs`` does not say so, it is inconclusive unless it came back.
    """
    free = all(leaves_free(action.fault) for action in experiment.actions)
    for check in experiment.checks:
        hurt = [samples for samples in injected(trials) if feels(check, experiment) and _hurt(check, samples)]
        if not hurt:
            continue
        within_s = _within_s(check, experiment)
        wanted = RecoversWithin(checks=(check.id,), within_s=within_s, since="injected")
        said = recovers_within.judge(wanted, experiment, hurt)
        part, expected = unless_disturbed(Part(said.verdict, said.measured), experiment, hurt), said.limit
        can = soft(check, experiment)
        if said.verdict is not Verdict.HOLDS and not free and not can:
            if can is False:
                continue
            why = f"{what(experiment)} was kept away all the time, and whether it can do without is not said"
            part = Part(Verdict.INCONCLUSIVE, f"{part.measured}; {why}")
        yield validation("unaided_recovery", check.id, [part], line(expected))


def _hurt(check: Check, samples: Samples) -> bool:
    began_s = impact(check, samples).began_s
    return began_s is not None and began_s < samples.trial.help_begins_s


def _within_s(check: Check, experiment: Experiment) -> float:
    wanted = (
        c.within_s
        for c in experiment.criteria
        if isinstance(c, RecoversWithin) and c.since == "injected" and check.id in c.checks
    )
    return min(wanted, default=WITHIN_S)
