"""What the ledger answers with: plain values, so that nothing above needs its database library."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from executor.model.evidence import Figure
from executor.model.vocabulary import Environment, Phase, Verdict, Weakness
from knowledge.exposure import Exposure
from knowledge.features import Features


@dataclass(frozen=True)
class PastRun:
    """One run that left evidence."""

    run: str
    plan_id: str
    plan_digest: str
    system: str
    system_digest: str
    environment: Environment
    goal: str
    approver: str
    started: datetime
    duration_s: float
    outcome: str


@dataclass(frozen=True)
class PastRow:
    """The verdict of one run on one hypothesis."""

    run: str
    system: str
    experiment: str
    hypothesis: str
    weakness: Weakness
    place: str
    statement: str
    fault: str
    """In short, with parameters: ``network.latency delay_ms=3000``; several are joined by `` + ``."""
    verdict: Verdict
    reason: str
    predicted: float
    """P(breaks) that was expected, 0–1."""
    at: datetime
    """When the run started."""
    features: Features
    exposure: Exposure | None = None
    """What its experiment did and looked at; ``None``: all that is known of it are the types of its faults."""

    @property
    def key(self) -> str:
        """Names this result among all of the ledger."""
        return f"{self.run}/{self.hypothesis}"

    @property
    def fault_types(self) -> tuple[str, ...]:
        """The types of the faults used, ``executor.model.vocabulary.FaultType``."""
        return self.features.fault_types

    @property
    def decided(self) -> bool:
        """Whether the verdict says anything about the weakness."""
        return self.verdict in (Verdict.HOLDS, Verdict.BREAKS)


@dataclass(frozen=True)
class PastPrediction:
    """What one expert expected, and what came out."""

    expert: str
    weakness: Weakness
    place: str
    probability: float
    """P(breaks), 0–1."""
    verdict: Verdict
    run: str
    at: datetime


@dataclass(frozen=True)
class PastFigures:
    """What one experiment of one run has measured."""

    run: str
    system: str
    experiment: str
    at: datetime
    """When the run started."""
    figures: tuple[Figure, ...]

    def value(self, name: str, of: str, phase: Phase | None = None) -> float | None:
        """The value of one figure; ``None`` if there is none."""
        return next((f.value for f in self.figures if (f.name, f.of, f.phase) == (name, of, phase)), None)
