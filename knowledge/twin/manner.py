"""What a fault does to calls, in numbers: its type says what, its parameters how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from executor.model.faults import Fault
from executor.model.faults.network import TOTAL_PERCENT
from executor.model.vocabulary import FaultType as T

RETRANSMIT_MS = 250.0
"""A packet that is lost is sent again after some 200 ms and a way there and back (RFC 6298 allows no less than a
second, Linux no less than 200 ms)."""
PACKETS = 6
"""Packets of a short call, both ways."""
CALL_BYTES = 2_048
"""Of a short call and its answer."""
PRESSED_SLOWER = 3.0
"""So many times its usual time a service takes that lacks processor, memory, disk or handles."""
ODD = 0.3
"""P(calls fail) where a clock, a setting or a replica is wrong: nobody can tell without the code."""
CUT_ONCE = 0.1
"""Share of calls that fail where sessions are cut once, and connecting anew is all it takes."""
SOME = 0.3
"""Share of calls that an intermittent fault strikes which does not say how many."""


@dataclass(frozen=True)
class Manner:
    """What becomes of a call that meets the fault. Shares are of such calls, 0–1."""

    type: T
    error: float = 0.0
    """Answered at once, and not well."""
    silent: float = 0.0
    """Never answered."""
    delay_ms: float = 0.0
    """Every answer is so much later."""
    slow_share: float = 0.0
    slow_ms: float = 0.0
    """This share is so much later still."""
    slower: float = 1.0
    """The callee takes so many times its own time."""
    load_per_s: float = 0.0
    """Requests a second on top of its own."""
    odd: float = 0.0
    """P(all calls fail), where only the code could tell."""
    places: int = 0
    """Connections that there are at most; 0: as many as are wanted."""
    once: bool = False
    """Whether connections are only cut once, so that it lasts for those alone who do not connect anew."""


_ERROR = Manner(T.SERVER_ERROR, error=1.0)
_SILENT = Manner(T.SILENT, silent=1.0)
_PRESSED = Manner(T.STARVED_CPU, slower=PRESSED_SLOWER)
_NOTHING = Manner(T.REHEARSED)
_BY_TYPE: dict[T, Manner] = {
    T.DEAD: _ERROR,
    T.STOPPED: _ERROR,
    T.REFUSED: _ERROR,
    T.SERVER_ERROR: _ERROR,
    T.CLIENT_ERROR: _ERROR,
    T.MALFORMED: _ERROR,
    T.SESSIONS_LOST: _ERROR,
    T.UNRESOLVED: _ERROR,
    T.SILENT: _SILENT,
    T.LOCKED: _SILENT,
    T.STARVED_CPU: _PRESSED,
    T.STARVED_MEMORY: _PRESSED,
    T.STARVED_DISK: Manner(T.STARVED_DISK, odd=ODD, slower=PRESSED_SLOWER),
    T.STARVED_HANDLES: Manner(T.STARVED_HANDLES, odd=ODD),
    T.CLOCK_WRONG: Manner(T.CLOCK_WRONG, odd=ODD),
    T.MISCONFIGURED: Manner(T.MISCONFIGURED, odd=ODD),
    T.STALE: Manner(T.STALE, odd=ODD / 3),
    T.INTERMITTENT: Manner(T.INTERMITTENT, error=SOME),
    T.SLOW: Manner(T.SLOW, delay_ms=1_000.0),
    T.SLUGGISH: Manner(T.SLUGGISH, delay_ms=50.0),
}
"""Others (cold, connections taken, no place for new pods, a rehearsal) fail no call by themselves."""


def manner(fault: Fault) -> Manner:
    """What the fault does to a call that meets it."""
    type_ = fault.looks()
    known: Any = getattr(fault, "fault", fault)  # one that somebody else makes
    found = replace(_BY_TYPE.get(type_, _NOTHING), type=type_)
    found = _waiting(found, known) if type_ in (T.SLOW, T.SLUGGISH) else found
    if type_ is T.INTERMITTENT:
        found = _some(found, known)
    if type_ is T.SESSIONS_LOST and getattr(known, "how", "") == "terminate":
        found = replace(found, error=CUT_ONCE, once=True)
    quota = getattr(known, "quota_percent", None) or getattr(known, "cpu_percent", None)
    return replace(found, slower=max(1.0, 100.0 / quota), delay_ms=0.0) if quota else found


def _waiting(found: Manner, known: Any) -> Manner:
    """How late answers come."""
    if (percent := getattr(known, "percent", None)) is not None and not hasattr(known, "delay_ms"):
        missed = min(float(percent), TOTAL_PERCENT) / 100
        return replace(found, delay_ms=0.0, slow_share=1 - (1 - missed) ** PACKETS, slow_ms=RETRANSMIT_MS)
    if (rate := getattr(known, "rate_kbps", None)) is not None:
        return replace(found, delay_ms=CALL_BYTES * 8 / float(rate))
    if (rate := getattr(known, "rate_rps", None)) is not None:
        return replace(found, delay_ms=0.0, load_per_s=float(rate))
    delay_ms = float(getattr(known, "delay_ms", found.delay_ms))
    jitter_ms = float(getattr(known, "jitter_ms", 0.0))
    if jitter_ms and getattr(known, "distribution", "uniform") == "pareto":
        return replace(found, delay_ms=delay_ms, slow_share=0.3, slow_ms=3 * jitter_ms)
    return replace(
        found, delay_ms=max(0.0, delay_ms - jitter_ms), slow_share=0.5 if jitter_ms else 0.0, slow_ms=jitter_ms
    )


def _some(found: Manner, known: Any) -> Manner:
    """How many calls it strikes, and whether they fail or wait."""
    if known.kind == "network.connection_limit":
        return replace(found, error=0.0, places=int(known.max))
    share = float(getattr(known, "probability", SOME))
    if (percent := getattr(known, "percent", None)) is not None:
        return replace(found, error=0.0, slow_share=1 - (1 - float(percent) / 100) ** PACKETS, slow_ms=RETRANSMIT_MS)
    waits = known.kind == "service.timeout" or getattr(known, "how", "") == "drop"
    return replace(found, error=0.0, silent=share) if waits else replace(found, error=share)
