"""Judge a run again from what it has recorded: the same records always give the same verdicts and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from executor.errors import InputError
from executor.measure.judge import Judgement, judge
from executor.measure.records import TrialRecord
from executor.measure.samples import Samples
from executor.model.base import Contract, Name, why_not
from executor.model.evidence import Evidence, ExperimentResult
from executor.model.plan import Experiment, Plan
from executor.run import searches
from executor.run.observations import load
from executor.state.home import Home
from executor.state.reading import read

FILE = "trials.json"


class Trials(Contract):
    """When each trial's phases began and ended, by experiment; its observations are in a file of their own."""

    by_experiment: dict[Name, tuple[TrialRecord, ...]] = Field(default_factory=dict)


def differences(home: Home, evidence: Evidence) -> list[str]:
    """What comes out otherwise than the evidence says, in words; nothing, as long as no file was changed.

    Raises ``InputError`` if the run has not left what is needed, or its files were damaged.
    """
    found: list[str] = []
    for experiment, result, seen in recorded(home, evidence):
        found += _compare(result, judge(experiment, seen, started=evidence.started, aborted=result.aborted))
    return found


def recorded(home: Home, evidence: Evidence) -> Iterator[tuple[Experiment, ExperimentResult, list[Samples]]]:
    """Each experiment of a run with its result and its trials. Raises ``InputError`` as ``differences`` does."""
    directory = home.run_dir(evidence.run, make=False)
    try:
        plan = Plan.model_validate_json(read(directory / "plan.json"))
        trials = Trials.model_validate_json(read(directory / FILE))
        for result in evidence.results:
            experiment = next(e for e in plan.experiments if e.id == result.experiment)
            records = trials.by_experiment.get(result.experiment, ())
            seen = [
                Samples(
                    record,
                    load(directory, experiment.id, record.trial),
                    searches.load(directory, experiment, record.trial),
                )
                for record in records
            ]
            yield experiment, result, seen
    except FileNotFoundError as error:
        hint = "A run whose process was killed leaves observations, and nothing to judge them by."
        raise InputError(f"the run has left no {Path(error.filename).name}.", where=evidence.run, hint=hint) from None
    except (OSError, ValidationError) as error:
        raise InputError(f"the run's files cannot be read: {why_not(error)}.", where=evidence.run) from error


def _compare(result: ExperimentResult, again: Judgement) -> Iterator[str]:
    for before, now in zip(result.hypotheses, again.hypotheses, strict=True):
        if before != now:
            was, is_now = (f"{h.verdict.value} ({h.reason})" for h in (before, now))
            yield f"{before.hypothesis}: {was}, and now {is_now}"
    figures = {(f.name, f.of, f.phase): f for f in again.figures}
    for figure in result.figures:
        same = figures.pop((figure.name, figure.of, figure.phase), None)
        if same != figure:
            value = "none" if same is None else f"{same.value:g}"
            yield f"{result.experiment}: {figure.name} of {figure.of} was {figure.value:g}, and is now {value}"
    for name, of, _ in figures:
        yield f"{result.experiment}: {name} of {of} is new"
    yield from _compare_validations(result, again)
    if result.capacities != again.capacities:
        yield f"{result.experiment}: the capacities are others now"


def _compare_validations(result: ExperimentResult, again: Judgement) -> Iterator[str]:
    said = {(v.validator, v.of): v for v in again.validations}
    for before in result.validations:
        now = said.get((before.validator, before.of))
        if now != before:
            what, was = f"{before.validator} of {before.of}", f"{before.verdict.value} ({before.measured})"
            is_now = f"{now.verdict.value} ({now.measured})" if now else "nothing"
            yield f"{result.experiment}: {what} was {was}, and is now {is_now}"
    for name, of in sorted(said.keys() - {(before.validator, before.of) for before in result.validations}):
        yield f"{result.experiment}: {name} of {of} is new"
