"""How likely an experiment shows a weakness that is there, by the type of its fault, if all else is as it should be.

The numbers are judgements, not measurements: from what each weakness class means and from the sweep of 25 public Flask
systems in which places that stood a dead dependency fell to a slow one, or stood a 500 and fell to a 404. They keep a
``holds`` under one type from being read as a clean bill. The ledger's results will show where they are wrong. What
size, duration, load and the place of looking take away from them is in ``knowledge.beliefs.sight``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from executor.model.vocabulary import FaultType as T
from executor.model.vocabulary import Weakness

FALSE_ALARM = 0.02
"""P(breaks | the weakness is not there): the judge asks for whole confidence intervals beyond the limit."""
BLIND = 0.05
"""P(breaks | present) for a type that is not listed: the experiment was made for something else."""

SENSITIVITY: Mapping[Weakness, Mapping[T, float]] = {
    Weakness.SINGLE_POINT_OF_FAILURE: {
        T.DEAD: 0.9, T.STOPPED: 0.85, T.SILENT: 0.85, T.REFUSED: 0.8, T.SERVER_ERROR: 0.6, T.SESSIONS_LOST: 0.5,
    },
    Weakness.HARD_DEPENDENCY: {
        T.REFUSED: 0.75, T.DEAD: 0.7, T.STOPPED: 0.7, T.SILENT: 0.75, T.SERVER_ERROR: 0.75, T.CLIENT_ERROR: 0.5,
        T.MALFORMED: 0.5, T.SLOW: 0.5, T.SLUGGISH: 0.1, T.INTERMITTENT: 0.4, T.SESSIONS_LOST: 0.6, T.LOCKED: 0.5,
    },
    Weakness.MISSING_TIMEOUT: {
        T.SILENT: 0.95, T.SLOW: 0.8, T.LOCKED: 0.6, T.SLUGGISH: 0.15, T.STARVED_CPU: 0.15,
    },
    Weakness.TIMEOUT_INVERSION: {T.SLOW: 0.75, T.SILENT: 0.7, T.SLUGGISH: 0.3, T.LOCKED: 0.5},
    Weakness.MISSING_RETRY: {
        T.INTERMITTENT: 0.9, T.SESSIONS_LOST: 0.5, T.DEAD: 0.4, T.STOPPED: 0.4, T.REFUSED: 0.2, T.SERVER_ERROR: 0.2,
    },
    Weakness.RETRY_STORM: {
        T.SERVER_ERROR: 0.75, T.SILENT: 0.65, T.REFUSED: 0.6, T.SLOW: 0.6, T.INTERMITTENT: 0.5, T.DEAD: 0.5,
    },
    Weakness.MISSING_CIRCUIT_BREAKER: {
        T.SERVER_ERROR: 0.8, T.SILENT: 0.8, T.REFUSED: 0.75, T.SLOW: 0.7, T.DEAD: 0.6, T.INTERMITTENT: 0.3,
    },
    Weakness.MISSING_BULKHEAD: {
        T.SILENT: 0.85, T.SLOW: 0.8, T.LOCKED: 0.75, T.CONNECTIONS_TAKEN: 0.5, T.SLUGGISH: 0.2, T.STARVED_CPU: 0.2,
    },
    Weakness.POOL_EXHAUSTION: {
        T.CONNECTIONS_TAKEN: 0.75, T.LOCKED: 0.75, T.SILENT: 0.7, T.SLOW: 0.65, T.SLUGGISH: 0.25,
    },
    Weakness.COLD_CACHE_OVERLOAD: {T.COLD: 0.85, T.DEAD: 0.6, T.REFUSED: 0.5, T.STOPPED: 0.6},
    Weakness.SLOW_OR_MISSING_RECOVERY: {
        T.DEAD: 0.85, T.STOPPED: 0.75, T.SILENT: 0.65, T.REFUSED: 0.6, T.SERVER_ERROR: 0.5, T.SESSIONS_LOST: 0.6,
        T.SLOW: 0.5, T.CONNECTIONS_TAKEN: 0.4, T.LOCKED: 0.5, T.COLD: 0.4, T.STARVED_DISK: 0.4, T.STARVED_HANDLES: 0.4,
        T.MISCONFIGURED: 0.4, T.STARVED_MEMORY: 0.3, T.CLOCK_WRONG: 0.3,
    },
    Weakness.DOES_NOT_RECONNECT: {
        T.SESSIONS_LOST: 0.9, T.DEAD: 0.75, T.STOPPED: 0.75, T.REFUSED: 0.75, T.MALFORMED: 0.5, T.SILENT: 0.4,
    },
    Weakness.DETECTION_BLIND_SPOT: {
        T.SILENT: 0.75, T.SERVER_ERROR: 0.7, T.REFUSED: 0.7, T.LOCKED: 0.7, T.SESSIONS_LOST: 0.7, T.SLOW: 0.65,
        T.DEAD: 0.5, T.STOPPED: 0.5, T.CONNECTIONS_TAKEN: 0.6, T.MALFORMED: 0.5, T.CLIENT_ERROR: 0.5,
        T.STARVED_DISK: 0.6, T.STARVED_HANDLES: 0.5, T.MISCONFIGURED: 0.3,
    },
    Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER: {
        T.SILENT: 0.85, T.DEAD: 0.8, T.STOPPED: 0.75, T.REFUSED: 0.7, T.SERVER_ERROR: 0.6, T.SLOW: 0.5,
    },
    Weakness.INCONSISTENT_AFTER_CRASH: {
        T.DEAD: 0.5, T.SESSIONS_LOST: 0.4, T.STOPPED: 0.3, T.MALFORMED: 0.3, T.STARVED_DISK: 0.3,
    },
    Weakness.UNUSABLE_BACKUP: {},
    Weakness.STALE_CREDENTIALS: {T.SESSIONS_LOST: 0.2, T.CLIENT_ERROR: 0.2, T.CLOCK_WRONG: 0.2},
    Weakness.STALE_NAME_RESOLUTION: {T.UNRESOLVED: 0.7, T.DEAD: 0.2, T.STOPPED: 0.2},
    Weakness.RESOURCE_LEAK_UNDER_FAILURE: {T.SILENT: 0.5, T.SLOW: 0.4, T.SERVER_ERROR: 0.4, T.REFUSED: 0.35},
    Weakness.CAPACITY_CLIFF: {
        T.STARVED_CPU: 0.6, T.CONNECTIONS_TAKEN: 0.5, T.STARVED_HANDLES: 0.5, T.STARVED_MEMORY: 0.4, T.SLOW: 0.5,
        T.SLUGGISH: 0.3, T.INTERMITTENT: 0.4, T.STARVED_DISK: 0.4, T.DEAD: 0.4, T.SILENT: 0.4,
    },
    Weakness.NO_GRACEFUL_DEGRADATION: {
        T.SERVER_ERROR: 0.75, T.REFUSED: 0.75, T.DEAD: 0.7, T.SILENT: 0.7, T.CLIENT_ERROR: 0.5, T.MALFORMED: 0.5,
        T.SLOW: 0.5, T.STARVED_CPU: 0.4, T.COLD: 0.3, T.STARVED_DISK: 0.4, T.STARVED_HANDLES: 0.3,
    },
}  # fmt: skip
"""Weakness → type of fault → P(breaks | present)."""


def sensitivity(weakness: Weakness, types: Iterable[str]) -> float:
    """P(breaks | present) of an experiment with faults of these types: at least one of them shows it. Within (0, 1)."""
    table = SENSITIVITY[weakness]
    missed = [1 - table.get(T(name), BLIND) for name in sorted(set(types))]
    return 1 - math.prod(missed) if missed else BLIND


def chance_of_break(probability: float, weakness: Weakness, types: Iterable[str]) -> float:
    """P(breaks) of an experiment, where P(present) is ``probability``."""
    seen = sensitivity(weakness, types)
    return probability * seen + (1 - probability) * FALSE_ALARM


def information_gain(probability: float, weakness: Weakness, types: Iterable[str]) -> float:
    """Bits that an experiment is expected to tell about whether the weakness is there; 0 to 1."""
    return gain(probability, sensitivity(weakness, types))


def gain(probability: float, seen: float) -> float:
    """Bits, 0 to 1, that an experiment is expected to tell of which P(breaks | present) is ``seen``."""
    if seen <= FALSE_ALARM:
        return 0.0
    breaks = probability * seen + (1 - probability) * FALSE_ALARM
    return max(0.0, entropy(breaks) - probability * entropy(seen) - (1 - probability) * entropy(FALSE_ALARM))


def entropy(probability: float) -> float:
    """Bits of a yes or no of this probability, 0 to 1."""
    return -sum(p * math.log2(p) for p in (probability, 1 - probability) if p > 0)
