"""A plan: everything a person reviews and signs, and all that the executor needs to carry it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from executor.model.base import Contract, Digest, Line, Name, PlaceName, Probability, Seconds, Text
from executor.model.criteria import Criterion
from executor.model.data_check import DataCheck
from executor.model.faults import Fault
from executor.model.probe import Check, DetectionSignal
from executor.model.vocabulary import Environment, Weakness


class InstanceTarget(Contract):
    """Some instances of one service. ``ids`` names them; else ``count`` are taken in the order of their ids."""

    kind: Literal["instances"] = "instances"
    service: Name
    count: Annotated[int, Field(ge=1)] = 1
    ids: tuple[Name, ...] = ()


class EdgeTarget(Contract):
    """The calls of one service to another."""

    kind: Literal["edge"] = "edge"
    caller: Name
    callee: Name


class GroupsTarget(Contract):
    """All known edges between two groups of services."""

    kind: Literal["groups"] = "groups"
    a: Annotated[tuple[Name, ...], Field(min_length=1)]
    b: Annotated[tuple[Name, ...], Field(min_length=1)]


Target = Annotated[InstanceTarget | EdgeTarget | GroupsTarget, Field(discriminator="kind")]


class Ramp(Contract):
    """A fault is raised in equal steps to its full strength, and goes on only while the guard agrees."""

    steps: Annotated[int, Field(ge=2, le=20)]
    """How many, the full fault among them."""
    hold_s: Annotated[Seconds, Field(gt=0, le=600)]
    """How long each step before the full fault is held."""

    @property
    def length_s(self) -> float:
        """How long it takes until the full fault, seconds."""
        return (self.steps - 1) * self.hold_s


class Action(Contract):
    """One fault on one target for a bounded time."""

    id: Name
    fault: Fault
    target: Target
    start_s: Seconds = 0
    """After the fault phase begins."""
    duration_s: Annotated[Seconds, Field(gt=0, le=3600)]
    """Of the full fault."""
    ramp: Ramp | None = None
    """Steps before that; ``None``: it begins at its full strength."""

    @property
    def whole_s(self) -> float:
        """How long something of the fault is there, seconds: the steps before the full fault, and that."""
        return self.duration_s + (self.ramp.length_s if self.ramp else 0)

    @model_validator(mode="after")
    def _fault_fits_target(self) -> Self:
        if self.fault.target_kind != self.target.kind:
            raise ValueError(
                f"{self.fault.kind} takes a target of kind {self.fault.target_kind}, not {self.target.kind}"
            )
        if self.ramp and self.fault.at(1 / self.ramp.steps) is None:
            raise ValueError(f"{self.fault.kind} is there or it is not: it has no strength to raise in steps")
        return self


class Prediction(Contract):
    """What was expected before the run: scored against what came out."""

    probability_breaks: Probability
    by: tuple[tuple[Name, Probability], ...] = ()
    """Each expert's own probability, by name."""


class Hypothesis(Contract):
    """What should hold at one place under this experiment's faults. It breaks if any criterion is violated."""

    id: Name
    weakness: Weakness
    """The weakness that is shown if it breaks."""
    place: PlaceName
    statement: Line
    """One plain sentence, stated as what holds: "storefront keeps serving while recommendations is dead"."""
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    exercised_by: tuple[tuple[Name, Name], ...] = ()
    """Edges ``(caller, callee)`` that must carry calls for the experiment to prove anything; else "not exercised"."""
    prediction: Prediction
    remedy: Text = ""
    """What to do if it breaks."""


class AbortCondition(Contract):
    """Stop everything in the run when a check falls below this, for k of the last n answers."""

    check: Name
    availability_below: Annotated[float, Field(gt=0, le=1)]
    """Share of good answers over the last ``of`` answers, 0–1."""
    of: Annotated[int, Field(ge=1, le=1000)] = 10


class Experiment(Contract):
    """One thing done to the system, and the hypotheses it bears on."""

    id: Name
    title: Line
    rationale: Text = ""
    """Why this, why now; cites past runs where they moved it."""
    proposed_by: tuple[Name, ...] = ()
    hypotheses: Annotated[tuple[Hypothesis, ...], Field(min_length=1)]
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]
    signals: tuple[DetectionSignal, ...] = ()
    data_checks: tuple[DataCheck, ...] = ()
    """Each as system.yaml has it: they write into the system."""
    actions: Annotated[tuple[Action, ...], Field(min_length=1)]
    abort_conditions: Annotated[tuple[AbortCondition, ...], Field(min_length=1)] | Literal["none"]
    """Mandatory; the absence of any is written ``none``."""
    baseline_s: Annotated[Seconds, Field(ge=0.5, le=600)] = 2
    recovery_deadline_s: Annotated[Seconds, Field(gt=0, le=3600)] = 5
    """Recovery is watched for this long at most, after the last revert."""
    trials: Annotated[int, Field(ge=1, le=100)] = 1
    ends_when_certain: bool = False
    """Whether the fault ends as soon as no answer to come could change that every hypothesis breaks. What is measured
    of recovery is then that after a shorter fault."""

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Those of all its hypotheses, in their order."""
        return tuple(criterion for hypothesis in self.hypotheses for criterion in hypothesis.criteria)

    @property
    def fault_s(self) -> float:
        """Length of the fault phase, seconds: until the last action ends."""
        return max(action.start_s + action.whole_s for action in self.actions)

    @model_validator(mode="after")
    def _names_known(self) -> Self:
        data_checks = [data_check.id for data_check in self.data_checks]
        if len(set(data_checks)) != len(data_checks):
            raise ValueError("data check ids must differ within an experiment")
        known = {
            "check": {check.id for check in self.checks},
            "signal": {signal.id for signal in self.signals},
            "data check": set(data_checks),
            "search of action": {action.id for action in self.actions if getattr(action.fault, "search", None)},
        }
        for hypothesis in self.hypotheses:
            for what, name in (named for criterion in hypothesis.criteria for named in _named(criterion)):
                if name not in known[what]:
                    raise ValueError(f"hypothesis {hypothesis.id} names {what} {name}, which the experiment lacks")
        if self.abort_conditions != "none":
            for condition in self.abort_conditions:
                if condition.check not in known["check"]:
                    raise ValueError(f"an abort condition names check {condition.check}, which the experiment lacks")
        return self


def _named(criterion: Criterion) -> Iterator[tuple[str, str]]:
    """What a criterion names, each with what it is."""
    for check in (*getattr(criterion, "checks", ()), *getattr(criterion, "provided", ())):
        yield "check", check
    for what, field in (("signal", "signal"), ("data check", "data_check"), ("search of action", "action")):
        if (name := getattr(criterion, field, None)) is not None:
            yield what, name


class Stage(Contract):
    """Experiments that run side by side; stages run one after another."""

    experiments: Annotated[tuple[Experiment, ...], Field(min_length=1)]


class Plan(Contract):
    """Experiments in stages against one system. Its digest is what is approved."""

    format: Literal["murphy.plan/1"] = "murphy.plan/1"
    id: Name
    system_name: Name
    system_digest: Digest
    """Of the system as planned for; a system that has drifted since is refused."""
    environment: Environment
    goal: Text = ""
    rationale: Text = ""
    proposer: Line
    """Who asked for it; in production never the one who approves."""
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """All experiments, in the order in which they begin."""
        return tuple(experiment for stage in self.stages for experiment in stage.experiments)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action of every experiment, in that order."""
        return tuple(action for experiment in self.experiments for action in experiment.actions)

    @model_validator(mode="after")
    def _ids_once(self) -> Self:
        for what, ids in (
            ("experiment", [e.id for e in self.experiments]),
            ("action", [action.id for action in self.actions]),
            ("hypothesis", [h.id for e in self.experiments for h in e.hypotheses]),
        ):
            if len(ids) != len(set(ids)):
                raise ValueError(f"{what} ids must differ within a plan")
        return self
