"""What the twin supposes where nothing was measured: distributions and rates, each a judgement until runs refit it.

None of them comes from one system. ``knowledge/twin/refit.py`` says how the ledger's results replace them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from executor.model.vocabulary import ServiceKind, Weakness
from knowledge.sensitivity import sensitivity
from knowledge.twin.arrays import Floats


@dataclass(frozen=True)
class Spread:
    """A log-normal distribution, cut off at both ends."""

    median: float
    sigma: float
    """Standard deviation of the natural logarithm."""
    least: float = 0.0
    most: float = np.inf
    n: int = 0
    """Measured values behind it; 0: a judgement."""

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """An array of that shape, in the spread's own unit."""
        return np.clip(self.median * np.exp(self.sigma * random.standard_normal(shape)), self.least, self.most)


UNSAID_RATES: Mapping[Weakness, float] = {
    Weakness.HARD_DEPENDENCY: 0.35,
    Weakness.NO_GRACEFUL_DEGRADATION: 0.35,
    Weakness.MISSING_TIMEOUT: 0.35,
    Weakness.TIMEOUT_INVERSION: 0.1,
    Weakness.MISSING_RETRY: 0.5,
    Weakness.RETRY_STORM: 0.1,
    Weakness.MISSING_CIRCUIT_BREAKER: 0.7,
    Weakness.MISSING_BULKHEAD: 0.3,
    Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER: 0.2,
    Weakness.DOES_NOT_RECONNECT: 0.1,
    Weakness.SLOW_OR_MISSING_RECOVERY: 0.2,
    Weakness.COLD_CACHE_OVERLOAD: 0.2,
    Weakness.POOL_EXHAUSTION: 0.3,
    Weakness.CAPACITY_CLIFF: 0.25,
}
"""P(present) of a weakness at a place of which nothing is believed; of one that is not listed: ``RATE_OTHERWISE``."""
RATE_OTHERWISE = 0.15

BASE_MS: Mapping[ServiceKind, float] = {
    ServiceKind.DATABASE: 5.0,
    ServiceKind.CACHE: 2.0,
    ServiceKind.QUEUE: 5.0,
    ServiceKind.EXTERNAL: 150.0,
}
"""Usual time to answer by kind of service, milliseconds, where none was measured; of others: ``BASE_MS_OTHERWISE``."""
BASE_MS_OTHERWISE = 25.0


@dataclass(frozen=True)
class Parameters:
    """Everything that the twin draws from, beside the beliefs."""

    timeout_ms: Spread = Spread(600.0, 0.7, 50.0, 2_000.0)
    """Of a caller that has one, per try. Well set ones are short: a person leaves after two seconds or so."""
    retries: Spread = Spread(1.4, 0.4, 1.0, 3.0)
    """Further tries of a caller that tries again, rounded."""
    storm_retries: Spread = Spread(5.0, 0.4, 4.0, 10.0)
    """Further tries of one that multiplies its calls, rounded."""
    workers: Spread = Spread(8.0, 0.8, 2.0, 200.0)
    """Requests that a service works on at once where those that wait share its threads with the others."""
    headroom: Spread = Spread(3.0, 0.5, 1.1, 50.0)
    """Times its usual load that a service carries."""
    restart_s: Spread = Spread(2.0, 0.8, 0.05, 120.0)
    """From the death of an instance until its supervisor's new one serves."""
    slow_restart_s: Spread = Spread(40.0, 0.8, 10.0, 3_600.0)
    """The same where recovery is slow, or waits for a person."""
    eject_s: Spread = Spread(0.8, 0.6, 0.05, 10.0)
    """Until a member that does not answer is left out."""
    reconnect_s: Spread = Spread(0.5, 0.8, 0.02, 60.0)
    """Until a caller uses a dependency again that is back."""
    connections: Spread = Spread(2.0, 0.8, 1.0, 100.0)
    """Connections that callers hold for each that is busy: pools keep some in reserve."""
    breaker_s: Spread = Spread(4.0, 1.4, 0.2, 120.0)
    """Until a breaker that has opened lets calls through again once all is well. Defaults of libraries: 5 s (Hystrix),
    30 s (opossum), 60 s (resilience4j, pybreaker, gobreaker); own ones, and what only acts like one, are far shorter.
    """
    load_per_s: float = 10.0
    """Requests a second to a service that no check of the experiment asks."""
    hard_unsaid: float = 0.7
    """P(a caller fails without its callee) where nobody says whether it needs it."""
    shared_unsaid: float = 0.7
    """Share of a database's work that a lock on one of its tables stops, where no operation says what it touches."""
    false_alarm: float = 0.02
    """P(a verdict of ``breaks``) where the model sees none."""
    detection: float = 0.95
    """P(a verdict of ``breaks``) where the model sees one, before ``shown`` corrects it."""
    shown: Mapping[tuple[Weakness, str], float] = field(default_factory=dict)
    """(weakness, type of fault) → P(breaks | present), refitted from past results; others as ``sensitivity`` has it."""
    base_ms: Mapping[str, float] = field(default_factory=dict)
    """Service → its usual time to answer, measured."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Check → share of bad answers when nothing is wrong, measured, 0–1."""
    timeouts_ms: Mapping[str, float] = field(default_factory=dict)
    """Edge → the longest that its caller was seen to wait, measured, milliseconds."""
    runs: int = 0
    """Runs behind all that is refitted."""

    def shows(self, weakness: Weakness, types: Iterable[str]) -> float:
        """P(breaks | present) of an experiment with faults of these types, 0–1."""
        names = sorted(set(types))
        if not any((weakness, name) in self.shown for name in names):
            return sensitivity(weakness, names)
        missed = [1 - self.shown.get((weakness, name), sensitivity(weakness, (name,))) for name in names]
        return 1 - float(np.prod(missed))

    def detects(self, weakness: Weakness, types: Iterable[str]) -> float:
        """P(a verdict of ``breaks``) where the model itself sees one: ``detection``, as past results correct it."""
        names = tuple(types)
        usual = sensitivity(weakness, names)
        return float(np.clip(self.detection * self.shows(weakness, names) / usual, self.false_alarm, 0.98))
