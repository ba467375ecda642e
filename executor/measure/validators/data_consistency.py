"""Data consistency: what each data check says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.criteria import data_kept
from executor.measure.samples import Samples
from executor.model.criteria import DataKept
from executor.model.evidence import Validation
from executor.model.plan import Experiment


def validate(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Validation]:
    """One result a data check, by the rules of ``data_kept``."""
    for check in experiment.data_checks:
        said = data_kept.judge(DataKept(data_check=check.id), experiment, trials)
        yield Validation(
            validator="data_consistency",
            of=check.id,
            verdict=said.verdict,
            measured=said.measured,
            expected=said.limit,
        )
