"""What the validators share: their one signature, and how a result is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from executor.measure.criteria.common import Part, combine, line
from executor.measure.samples import Samples
from executor.model.criteria import CallsWithin, DetectedWithin, RecoversWithin, SteadyState
from executor.model.evidence import Validation
from executor.model.plan import Experiment
from executor.model.probe import Check, DetectionSignal

Validator = Callable[[Experiment, Sequence[Samples]], Iterable[Validation]]
"""Takes an experiment and its trials; gives a result for each service, edge, check or signal that it can speak of.

One that does not apply to the experiment gives none; one that applies and cannot tell is ``inconclusive``."""

WITHIN_S = 10.0
"""In time, where no hypothesis says a time (the default of the resilience score, too)."""


def promised_s(experiment: Experiment, signal: DetectionSignal) -> float:
    """Within which time a signal must report, by the strictest hypothesis that says so, seconds."""
    promised = (c.within_s for c in experiment.criteria if isinstance(c, DetectedWithin) and c.signal == signal.id)
    return min(promised, default=WITHIN_S)


def taken_over_s(experiment: Experiment, check: Check) -> float:
    """Within which time others must do the work of instances that died, by the strictest hypothesis, seconds."""
    return min(_taken_over_s(experiment, check), default=WITHIN_S)


def _taken_over_s(experiment: Experiment, check: Check) -> Iterator[float]:
    for criterion in experiment.criteria:
        if isinstance(criterion, RecoversWithin) and check.id in criterion.checks and criterion.since == "injected":
            yield criterion.within_s
        elif isinstance(criterion, SteadyState) and check.id in criterion.checks and criterion.after_s:
            yield criterion.after_s


def promised_factors(experiment: Experiment, edge: tuple[str, str]) -> list[float]:
    """How many calls hypotheses allow on an edge, as multiples of the usual. Below 1 that asks for a breaker."""
    return [c.factor_max for c in experiment.criteria if isinstance(c, CallsWithin) and (c.caller, c.callee) == edge]


def validation(name: str, of: str, parts: Sequence[Part], expected: str) -> Validation:
    """A validator's result from its parts (one a trial, as a rule), those that decided it named first."""
    verdict = combine(part.verdict for part in parts)
    decisive = sorted(parts, key=lambda part: part.verdict is not verdict)
    measured = "; ".join(part.measured.removeprefix(f"{of}: ") for part in decisive) or "nothing was measured"
    return Validation(validator=name, of=of, verdict=verdict, measured=line(measured), expected=line(expected))
