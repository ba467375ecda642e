"""Containment: services beyond the one that was struck keep their steady state.

Source: M. Nygard, "Release It!", 2nd edition (2018), chapter 4, "Cascading Failures".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.containment import struck
from executor.measure.criteria.common import Part
from executor.measure.samples import Samples
from executor.measure.validators.common import validation
from executor.measure.validators.felt import beyond, injected, kept, soft, what
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import Verdict


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a service beyond the target: the share of good answers of its checks while the fault was there.

    Checks that by design (``needs``) cannot do without what was struck have to fail, and say nothing. A service that
    calls cannot have carried the fault to is told only where it did not keep its promise.
    """
    told = injected(trials)
    if not told or not struck(experiment):
        return
    at_risk = {check.service for check in beyond(experiment)}
    for service in sorted({check.service for check in experiment.checks} - struck(experiment)):
        checks = [c for c in experiment.checks if c.service == service and soft(c, experiment) is not False]
        parts = [_part(check, experiment, told) for check in checks]
        if parts and (service in at_risk or any(part.verdict is Verdict.BREAKS for part in parts)):
            yield validation(
                "containment", service, parts, f"keeps its steady state while {what(experiment)} is struck"
            )


def _part(check: Check, experiment: Experiment, trials: Sequence[Samples]) -> Part:
    part = kept(check, experiment, trials)
    unsaid = " (whether it needs what was struck by design is not said)" if check.needs is None else ""
    return Part(part.verdict, part.measured + unsaid)
