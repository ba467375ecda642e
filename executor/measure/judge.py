"""From recorded trials to verdicts, figures and moments. Pure: the same records always give the same judgement."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from executor.measure.calls import total
from executor.measure.capacity.capacities import capacities
from executor.measure.capacity.capacities import figures as figures_of
from executor.measure.criteria.common import combine, line
from executor.measure.criteria.table import JUDGES
from executor.measure.figures import figures
from executor.measure.moments import moments
from executor.measure.samples import Samples
from executor.measure.validators.table import VALIDATORS
from executor.model.capacity import Capacity
from executor.model.criteria import Criterion
from executor.model.evidence import (
    CriterionResult,
    Event,
    ExperimentResult,
    Figure,
    HypothesisResult,
    RevertCheck,
    Validation,
)
from executor.model.plan import Experiment, Hypothesis
from executor.model.vocabulary import Phase, Verdict

_log = logging.getLogger(__name__)
TOGETHER_S = 0.3
"""Faults that begin so close to one another begin together, seconds."""
WHOLE = ("full_recovery", "metastability", "health_truthfulness", "data_consistency")
"""Validators that go by what was there before all faults and after them."""
EXERCISED_MIN = 3
"""Calls on an edge during the fault that show that it was used at all."""


@dataclass(frozen=True)
class Judgement:
    """What the records of one experiment say."""

    hypotheses: tuple[HypothesisResult, ...]
    figures: tuple[Figure, ...]
    validations: tuple[Validation, ...]
    capacities: tuple[Capacity, ...]
    events: tuple[Event, ...]
    """Impact, detected, mitigated and recovered, which nobody reported live."""
    aborted: str

    def result(self, experiment: Experiment, trials: int, reverts: Sequence[RevertCheck]) -> ExperimentResult:
        """The experiment's part of the evidence."""
        return ExperimentResult(
            experiment=experiment.id,
            trials=trials,
            hypotheses=self.hypotheses,
            figures=self.figures,
            validations=self.validations,
            capacities=self.capacities,
            reverts=tuple(reverts),
            aborted=self.aborted,
        )


def judge(experiment: Experiment, trials: Sequence[Samples], *, started: datetime, aborted: str = "") -> Judgement:
    """Judge one experiment from its trials. ``started`` is the run's wall time, for the events' ``wall``.

    ``aborted`` says why trials are missing, where a run ended before they began. What was seen in a trial that lost its
    fault decides no hypothesis.
    """
    samples, aborted = _in_order(trials, aborted)
    carried = capacities(experiment, samples)
    return Judgement(
        hypotheses=verdicts(experiment, samples, aborted=aborted),
        figures=(*figures(experiment, samples), *figures_of(carried)),
        validations=tuple(_validations(experiment, _telling(samples), aborted)),
        capacities=carried,
        events=moments(experiment, samples, started),
        aborted=line(aborted),
    )


def verdicts(experiment: Experiment, trials: Sequence[Samples], *, aborted: str = "") -> tuple[HypothesisResult, ...]:
    """The part of ``judge`` that says how each hypothesis came out, which takes a small share of its time."""
    samples, aborted = _in_order(trials, aborted)
    return tuple(_hypothesis(h, experiment, _telling(samples), aborted) for h in experiment.hypotheses)


def _in_order(trials: Sequence[Samples], aborted: str) -> tuple[list[Samples], str]:
    """The trials as they came, and why they were cut short; empty if they were not."""
    samples = sorted(trials, key=lambda each: each.trial.trial)
    return samples, next((each.trial.aborted for each in samples if each.trial.aborted), aborted)


def _telling(samples: Sequence[Samples]) -> list[Samples]:
    """Those whose fault was there as long as it should be."""
    return [each for each in samples if not each.trial.lost]


def _hypothesis(
    hypothesis: Hypothesis, experiment: Experiment, trials: Sequence[Samples], aborted: str
) -> HypothesisResult:
    criteria = tuple(_criterion(criterion, experiment, trials) for criterion in hypothesis.criteria)
    verdict = combine(result.verdict for result in criteria)
    decisive = [result.measured for result in criteria if result.verdict is verdict]
    reason = "; ".join(decisive) or "nothing was measured"
    idle, unknown = _not_exercised(hypothesis, trials)
    later = _later(experiment) if any(map(_of_the_fault_phase, hypothesis.criteria)) else ""
    if later and verdict is Verdict.HOLDS:
        verdict, reason = Verdict.INCONCLUSIVE, f"{later}; until then {reason}"
    if idle:
        verdict, reason = Verdict.INCONCLUSIVE, f"not exercised: hardly any calls on {', '.join(idle)} during the fault"
    elif unknown:
        reason += f" (calls on {', '.join(unknown)} could not be counted)"
    if aborted and verdict is not Verdict.BREAKS:
        verdict, reason = Verdict.ABORTED, f"aborted before it was decided: {aborted}"
    return HypothesisResult(
        hypothesis=hypothesis.id,
        weakness=hypothesis.weakness,
        place=hypothesis.place,
        verdict=verdict,
        reason=line(reason),
        criteria=criteria,
        predicted=hypothesis.prediction.probability_breaks,
    )


def _criterion(criterion: Criterion, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """How it came out. A judge that fails does not know, and costs no other criterion its result."""
    try:
        return JUDGES[criterion.kind](criterion, experiment, trials)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are judged
        _log.exception("the judge of %s failed", criterion.kind)
        words = line(f"judging it failed: {type(error).__name__}: {error}")
        return CriterionResult(kind=criterion.kind, verdict=Verdict.INCONCLUSIVE, measured=words, limit="unknown")


def _validations(experiment: Experiment, trials: Sequence[Samples], aborted: str) -> Iterator[Validation]:
    """What all validators say. One that fails does not know, and costs no other its result.

    Of an experiment that was cut short only what has broken by then is certain.
    """
    later = _later(experiment)
    for name, validate in VALIDATORS.items():
        try:
            for said in validate(experiment, trials):
                if aborted and said.verdict is not Verdict.BREAKS:
                    yield _undecided(said, f"cut short: {aborted}; by then {said.measured}")
                elif later and name not in WHOLE and said.verdict is not Verdict.INCONCLUSIVE:
                    yield _undecided(said, f"{later}; until then {said.measured}")
                else:
                    yield said
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are asked
            _log.exception("the validator %s failed", name)
            words = line(f"asking it failed: {type(error).__name__}: {error}")
            yield Validation(
                validator=name, of=experiment.id, verdict=Verdict.INCONCLUSIVE, measured=words, expected="unknown"
            )


def _undecided(said: Validation, measured: str) -> Validation:
    return Validation(
        validator=said.validator,
        of=said.of,
        verdict=Verdict.INCONCLUSIVE,
        measured=line(measured),
        expected=said.expected,
    )


def _of_the_fault_phase(criterion: Criterion) -> bool:
    """Whether it is judged by the fault phase, or by when the fault came."""
    if criterion.kind == "steady_state":
        return criterion.phase is Phase.FAULT
    if criterion.kind == "recovers_within":
        return criterion.since == "injected"
    return criterion.kind in ("bounded_latency", "calls_within", "detected_within")


def _later(experiment: Experiment) -> str:
    """Which faults were not there at their full strength from the start of the fault phase on, in words; empty: none.

    The phase is the first fault's, until the first is taken away.
    """
    full_s = {a.id: a.start_s + (a.ramp.length_s if a.ramp else 0.0) for a in experiment.actions}
    first_s = min(full_s.values())
    names = [name for name, at_s in full_s.items() if at_s > first_s + TOGETHER_S]
    return f"the fault phase is the first fault's, and {', '.join(names)} came later" if names else ""


def _not_exercised(hypothesis: Hypothesis, trials: Sequence[Samples]) -> tuple[list[str], list[str]]:
    """The edges that carried fewer than ``EXERCISED_MIN`` calls during the fault, and those nobody could count."""
    idle: list[str] = []
    unknown: list[str] = []
    for caller, callee in hypothesis.exercised_by:
        seen = total(trials, caller, callee, Phase.FAULT)
        if seen is None:
            unknown.append(f"{caller}->{callee}")
        elif seen.count < EXERCISED_MIN:
            idle.append(f"{caller}->{callee}")
    return idle, unknown
