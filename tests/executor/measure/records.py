"""Synthetic trials: an experiment with one check, one signal and one edge, and answers made to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executor.measure.columns import Recording
from executor.measure.judge import Judgement, judge
from executor.measure.records import TrialRecord
from executor.measure.samples import Samples
from executor.model.criteria import (
    BoundedLatency,
    CallsWithin,
    Criterion,
    DataKept,
    DetectedWithin,
    RecoversWithin,
    SteadyState,
)
from executor.model.data_check import DataCheck, SqlQuery
from executor.model.evidence import Observation
from executor.model.faults.service import Hang
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, DetectionSignal, Slo, TcpProbe
from executor.model.vocabulary import Verdict, Weakness
from executor.run.observations import ObservationLog

BASELINE_S, FAULT_S, RECOVERY_S = 3.0, 5.0, 4.0
INJECTED_S = BASELINE_S
REVERTED_S = BASELINE_S + FAULT_S
END_S = REVERTED_S + RECOVERY_S
STARTED = datetime(2026, 1, 1, tzinfo=UTC)

Answer = tuple[bool, float]
"""Good, latency in ms."""

STEADY = SteadyState(checks=("front",))
BOUNDED = BoundedLatency(checks=("front",), limit_ms=500)
CALLS = CallsWithin(caller="front", callee="base", factor_max=1.5)
BACK = RecoversWithin(checks=("front",), within_s=2)
BACK_UNAIDED = RecoversWithin(checks=("front",), within_s=2, since="injected")
DETECTED = DetectedWithin(signal="health", within_s=2)
KEPT = DataKept(data_check="kept")
DATA_CHECK = DataCheck(
    id="kept",
    service="base",
    write=SqlQuery(dsn="env:X", query="INSERT INTO t VALUES ('{id}')"),
    read=SqlQuery(dsn="env:X", query="SELECT id FROM t"),
)
CRITERIA: dict[str, Criterion] = {
    c.kind + getattr(c, "since", ""): c for c in (STEADY, BOUNDED, CALLS, BACK, BACK_UNAIDED, DETECTED, KEPT)
}


def experiment(
    *criteria: Criterion,
    rate_hz: float = 10,
    slo: Slo | None = None,
    exercised: bool = False,
    also: Sequence[str] = (),
    data_checks: Sequence[DataCheck] | None = None,
) -> Experiment:
    """With ``DATA_CHECK`` where a criterion speaks of it, unless data checks are given."""
    named = (DATA_CHECK,) if KEPT in criteria else ()
    hypotheses = [
        Hypothesis(
            id=f"h{number}",
            weakness=Weakness.HARD_DEPENDENCY,
            place="front->base",
            statement="front holds without base",
            criteria=(criterion,),
            exercised_by=(("front", "base"),) if exercised else (),
            prediction=Prediction(probability_breaks=0.3),
        )
        for number, criterion in enumerate(criteria, start=1)
    ]
    check = Check(id="front", service="front", probe=TcpProbe(port=1), rate_hz=rate_hz, slo=slo or Slo())
    return Experiment(
        id="e1",
        title="t",
        hypotheses=tuple(hypotheses),
        checks=(check, *(check.model_copy(update={"id": name}) for name in also)),
        signals=(DetectionSignal(id="health", service="base", probe=TcpProbe(port=1)),),
        data_checks=named if data_checks is None else tuple(data_checks),
        actions=(Action(id="a1", fault=Hang(), target=InstanceTarget(service="base"), duration_s=FAULT_S),),
        abort_conditions="none",
    )


def observations(
    source: str, answer: Callable[[float], Answer], *, rate_hz: float = 10, error: str = "", trial: int = 1
) -> list[Observation]:
    """One every ``1 / rate_hz`` seconds over the whole trial, each as ``answer(at_s)`` says."""
    made = []
    for slot in range(int(END_S * rate_hz)):
        ok, latency_ms = answer(slot / rate_hz)
        made.append(
            Observation(
                source=source,
                experiment="e1",
                trial=trial,
                at_s=slot / rate_hz,
                ok=ok,
                latency_ms=latency_ms,
                error="" if ok else error or "status 503",
            )
        )
    return made


def counter(per_s: Callable[[float], float], *, trial: int = 1) -> list[Observation]:
    """Calls on the edge, arriving at that rate."""
    made, calls = [], 0.0
    for slot in range(int(END_S * 5)):
        calls += per_s(slot / 5) / 5
        made.append(
            Observation(
                source="calls:front->base",
                experiment="e1",
                trial=trial,
                at_s=slot / 5,
                ok=True,
                latency_ms=1,
                value=float(int(calls)),
            )
        )
    return made


def trial(*series: Sequence[Observation], number: int = 1, **fields: Any) -> Samples:
    given: dict[str, Any] = {
        "baseline_start_s": 0.0,
        "injected_s": INJECTED_S,
        "reverted_s": REVERTED_S,
        "end_s": END_S,
    }
    recording = Recording(o for one in series for o in one)
    return Samples(TrialRecord(trial=number, **{**given, **fields}), recording)


def keep(directory: Path, seen: Iterable[Observation]) -> None:
    """Write observations down as a run does."""
    with closing(ObservationLog(directory)) as log:
        for observation in seen:
            log.write(observation)


def well(at_s: float) -> Answer:
    return True, 10.0


def faulted(at_s: float) -> bool:
    return INJECTED_S <= at_s < REVERTED_S


def dead(at_s: float) -> Answer:
    return not faulted(at_s), 10.0


def judged(experiment: Experiment, *trials: Samples) -> Judgement:
    return judge(experiment, trials, started=STARTED)


def verdict(criterion: Criterion, *series: Sequence[Observation], **fields: Any) -> Verdict:
    """Of one hypothesis with that one criterion, after one trial."""
    return judged(experiment(criterion), trial(*series, **fields)).hypotheses[0].verdict
