"""What a run leaves: what was asked, what was done, what was seen, and what that says."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from executor.model.base import Contract, Digest, Line, Name, PlaceName, Probability, Text
from executor.model.capacity import Capacity
from executor.model.vocabulary import Environment, Phase, Severity, Verdict, Weakness


class EventKind(StrEnum):
    """What can stand on a run's time line."""

    RUN_STARTED = "run_started"
    STAGE_STARTED = "stage_started"
    PHASE_STARTED = "phase_started"
    ARMED = "armed"
    STEPPED = "stepped"
    INJECTED = "injected"
    IMPACT = "impact"
    DETECTED = "detected"
    MITIGATED = "mitigated"
    MEASURED = "measured"
    REVERTED = "reverted"
    REVERT_OWED = "revert_owed"
    RECOVERED = "recovered"
    ABORTED = "aborted"
    HALTED = "halted"
    EXPERIMENT_FINISHED = "experiment_finished"
    RUN_FINISHED = "run_finished"


class Event(Contract):
    """One moment of a run."""

    kind: EventKind
    at_s: float
    """Seconds on the monotonic clock since the run started."""
    wall: datetime
    experiment: Name | None = None
    trial: int | None = None
    action: Name | None = None
    phase: Phase | None = None
    detail: Text = ""


class Observation(Contract):
    """One answer of one check, signal or edge counter."""

    source: Line
    """Check or signal id; ``calls:caller->callee`` for a counter; of a data check ``writes:ID``, ``reads:ID``,
    ``found:ID`` for each record that the reading of that moment found, and ``invariant:ID.NUMBER``."""
    experiment: Name
    trial: int
    at_s: float
    """When it was meant to start (open loop), seconds since the run started."""
    ok: bool
    latency_ms: float
    """From the intended start to the end of the answer."""
    status: int | None = None
    value: float | None = None
    """For counters: calls that had arrived on the edge so far; for ``writes:`` and ``found:`` a record's number; for
    ``reads:`` how many were found; for invariants 1 where it holds, 0 where not, none where nobody knows."""
    error: Line = ""
    by: Line = ""
    """Who gave the answer, where the check's probe tells (``answered_by``)."""


class ResolvedTarget(Contract):
    """What a selector meant at the moment of injection."""

    action: Name
    instance: Name | None = None
    pid: int | None = None
    start_ticks: int | None = None
    place: PlaceName | None = None


class Figure(Contract):
    """One measured number with its unit, sample size and uncertainty. Too little data gives no figure at all."""

    name: Name
    """For instance ``availability``, ``latency_p95``, ``mttd``, ``mttr``, ``mttr_cv``, ``recovery_failover``,
    ``bottleneck_failover``, ``effectiveness``, ``amplification``, ``containment``."""
    of: Line
    """Check, signal, edge or experiment that it speaks of."""
    phase: Phase | None = None
    value: float
    unit: Literal["ratio", "ms", "s", "per_s", "s_per_trial", "count"]
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    n: Annotated[int, Field(ge=1)]
    """Sample size."""
    p_value: Probability | None = None
    """Of a trend: the chance of one as strong if the order of the trials meant nothing."""


class CriterionResult(Contract):
    """How one criterion came out."""

    kind: Name
    verdict: Verdict
    measured: Line
    """What was measured, in words with numbers and units."""
    limit: Line


class HypothesisResult(Contract):
    """The verdict on one hypothesis, with its grounds."""

    hypothesis: Name
    weakness: Weakness
    place: PlaceName
    verdict: Verdict
    reason: Line
    criteria: tuple[CriterionResult, ...] = ()
    predicted: float
    """Probability of ``breaks`` that was predicted, 0–1."""


class Validation(Contract):
    """What one validator says: whether the system has shown a property that resilience is made of."""

    validator: Name
    """For instance ``failure_detection``, ``retry_discipline``; all are in ``executor/measure/validators/table.py``."""
    of: Line
    """Service, edge, check or signal that it speaks of."""
    verdict: Verdict
    measured: Line
    """What was measured, in words with numbers and units."""
    expected: Line


class RevertCheck(Contract):
    """Whether an action's fault is gone, asked of the target."""

    action: Name
    reverted: bool
    verified: bool
    detail: Line = ""


class ExperimentResult(Contract):
    """All that one experiment gave."""

    experiment: Name
    trials: int
    hypotheses: tuple[HypothesisResult, ...]
    figures: tuple[Figure, ...]
    reverts: tuple[RevertCheck, ...]
    validations: tuple[Validation, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    """Of each search for the largest rate that an instance carries."""
    aborted: Line = ""
    """Why it was cut short; empty if it was not."""


class Evidence(Contract):
    """The whole record of a run. Observations are in ``runs/<run>/observations.parquet`` beside it."""

    format: Literal["murphy.evidence/1"] = "murphy.evidence/1"
    run: Name
    plan_id: Name
    plan_digest: Digest
    limits_digest: Digest
    system_digest: Digest
    environment: Environment
    approver: Line
    started: datetime
    duration_s: float
    outcome: Literal["completed", "aborted", "halted", "interrupted"]
    """``interrupted``: a signal or a crash ended it."""
    timeline: tuple[Event, ...]
    targets: tuple[ResolvedTarget, ...]
    results: tuple[ExperimentResult, ...]
    owed: tuple[Line, ...] = ()
    """Reverts that are still owed, in words; empty is the only good value."""
    observation_count: int
    versions: dict[str, str]
    cost: dict[str, JsonValue]
    """Of Murphy itself: CPU seconds, peak memory in bytes, probes sent."""


class Finding(Contract):
    """A weakness that an experiment has shown."""

    id: Name
    weakness: Weakness
    place: PlaceName
    severity: Severity
    statement: Line
    """What was expected to hold and did not."""
    evidence: Text
    """What was measured, in words with numbers."""
    run: Name
    experiment: Name
    remedy: Text
    reproduce: Line
    """Command that shows it again."""
