"""What one experiment says of a service's resilience: measured numbers, each beside what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from executor.measure.containment import reaches, struck
from executor.model.criteria import DetectedWithin, RecoversWithin
from executor.model.evidence import ExperimentResult, Figure
from executor.model.plan import Experiment
from executor.model.probe import Check, DetectionSignal
from executor.model.system import System
from executor.model.vocabulary import Phase, Verdict


class Dimension(StrEnum):
    """What resilience is made of."""

    AVAILABILITY = "availability"
    """Good answers kept under a fault in what an operation needs."""
    LATENCY = "latency"
    """How fast good answers still came."""
    DETECTION = "detection"
    """How soon the system's own signals noticed."""
    RECOVERY = "recovery"
    """How soon steady state was back."""
    CONTAINMENT = "containment"
    """Services that stayed well beyond those that were struck."""
    DEGRADATION = "degradation"
    """Good answers kept of operations that by design do not need what was struck."""


@dataclass(frozen=True)
class Measure:
    """One measured number. Shares are 0–1, latencies milliseconds, times to detect and to recover seconds."""

    dimension: Dimension
    service: str
    experiment: str
    of: str
    """Check, signal or experiment that was measured."""
    value: float | None
    """``None``: without bound, since in some trial it never came."""
    low: float | None
    """Lower end of its 95 % interval, where one was measured."""
    high: float | None
    promised: float | None
    """By the SLO, or by the experiment's hypotheses; ``None``: nothing was."""
    weight: float
    """How often users do this, compared with other operations."""
    criticality: int
    """Of the service, 0–3."""
    critical: bool
    """Whether users lose what they came for when it fails."""


def measures(experiment: Experiment, result: ExperimentResult, system: System) -> tuple[Measure, ...]:
    """All that an experiment's figures say; of one that was cut short only if it had shown a weakness by then.

    A check counts where it may have felt the fault. One that is known not to need what was struck speaks of
    degradation, any other of availability. Recovery and detection are measured only where something had failed.
    """
    if result.aborted and all(judged.verdict is not Verdict.BREAKS for judged in result.hypotheses):
        return ()
    told = _Told(
        experiment,
        {(figure.name, figure.of, figure.phase): figure for figure in result.figures},
        {service.name: service.criticality for service in system.services},
    )
    hit = struck(experiment)
    felt = [check for check in experiment.checks if check.service in hit or reaches(check, experiment)]
    found = [measure for check in felt for measure in _of_check(check, hit, told)]
    found += [measure for signal in experiment.signals for measure in _of_signal(signal, told)]
    if figure := told.figure("containment", experiment.id):
        found += [told.measure(Dimension.CONTAINMENT, name, experiment.id, figure, 1.0) for name in sorted(hit)]
    return tuple(found)


@dataclass(frozen=True)
class _Told:
    """One experiment's figures, and what else its measures need."""

    experiment: Experiment
    figures: dict[tuple[str, str, Phase | None], Figure]
    criticality: dict[str, int]

    def figure(self, name: str, of: str, phase: Phase | None = None) -> Figure | None:
        return self.figures.get((name, of, phase))

    def measure(
        self,
        dimension: Dimension,
        service: str,
        of: str,
        figure: Figure | None,
        promised: float | None,
        check: Check | None = None,
    ) -> Measure:
        return Measure(
            dimension=dimension,
            service=service,
            experiment=self.experiment.id,
            of=of,
            value=None if figure is None else figure.value,
            low=None if figure is None else figure.low,
            high=None if figure is None else figure.high,
            promised=promised,
            weight=1.0 if check is None else check.weight,
            criticality=self.criticality.get(service, 1),
            critical=check is not None and check.critical,
        )


def _of_check(check: Check, hit: frozenset[str], told: _Told) -> Iterator[Measure]:
    soft = check.needs is not None and not hit & {check.service, *check.needs}
    kept = Dimension.DEGRADATION if soft else Dimension.AVAILABILITY
    if figure := told.figure("availability", check.id, Phase.FAULT):
        yield told.measure(kept, check.service, check.id, figure, check.slo.availability_min, check)
    promised_ms = check.slo.latency_ms_max
    if promised_ms and (figure := told.figure("latency_p95", check.id, Phase.FAULT)):
        yield told.measure(Dimension.LATENCY, check.service, check.id, figure, promised_ms, check)
    if recovered := told.figure("recovered", check.id):
        mttr = told.figure("mttr_from_revert", check.id) or told.figure("mttr", check.id)
        figure = mttr if recovered.value == 1 else None
        yield told.measure(
            Dimension.RECOVERY, check.service, check.id, figure, _recovers_s(told.experiment, check.id), check
        )


def _of_signal(signal: DetectionSignal, told: _Told) -> Iterator[Measure]:
    detected, mttd = told.figure("detected", signal.id), told.figure("mttd", signal.id)
    if detected and (mttd or detected.value < 1):
        figure = mttd if detected.value == 1 else None
        promised_s = _detected_s(told.experiment, signal.id)
        yield told.measure(Dimension.DETECTION, signal.service, signal.id, figure, promised_s)


def _recovers_s(experiment: Experiment, check: str) -> float | None:
    wanted = [c for c in experiment.criteria if isinstance(c, RecoversWithin)]
    return min((c.within_s for c in wanted if check in c.checks), default=None)


def _detected_s(experiment: Experiment, signal: str) -> float | None:
    wanted = [c for c in experiment.criteria if isinstance(c, DetectedWithin)]
    return min((c.within_s for c in wanted if c.signal == signal), default=None)
