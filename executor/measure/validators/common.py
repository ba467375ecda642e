"""What the validators share: their one signature, and how a result is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from executor.measure.criteria.common import Part, combine, line
from executor.measure.samples import Samples
from executor.model.evidence import Validation
from executor.model.plan import Experiment

Validator = Callable[[Experiment, Sequence[Samples]], Iterable[Validation]]
"""Takes an experiment and its trials; gives a result for each service, edge, check or signal that it can speak of.

One that does not apply to the experiment gives none; one that applies and cannot tell is ``inconclusive``."""


def validation(name: str, of: str, parts: Sequence[Part], expected: str) -> Validation:
    """A validator's result from its parts (one a trial, as a rule), those that decided it named first."""
    verdict = combine(part.verdict for part in parts)
    decisive = sorted(parts, key=lambda part: part.verdict is not verdict)
    measured = "; ".join(part.measured.removeprefix(f"{of}: ") for part in decisive) or "nothing was measured"
    return Validation(validator=name, of=of, verdict=verdict, measured=line(measured), expected=line(expected))
