"""What becomes of calls: time-outs, further tries and breakers, by closed formulas. Arrays are (edges, worlds).

Tries of one call fail independently of each other. That is exact where some instances of several fail, or some calls
by chance; where all fail, or none, it makes no difference.
"""

from __future__ import annotations

import numpy as np

from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.state import Calls, State

OPEN = 0.93
"""Share of calls that an open breaker turns away; the others find out whether the callee is back."""
TRIPS = 0.5
"""Share of tries that have to fail for a breaker to open; the usual setting of Hystrix and resilience4j."""


def calls(
    callee: State, base_ms: Floats, timeout_ms: Floats, retries: Floats, breaker: Flags, *, settled: bool
) -> Calls:
    """Calls to nodes in this state. ``base_ms`` is their usual time to answer, shape (edges, 1)."""
    late_ms = base_ms + callee.delay_ms
    late = np.where(late_ms > timeout_ms, 1.0, np.where(late_ms + callee.slow_ms > timeout_ms, callee.slow_share, 0.0))
    patient = np.isinf(timeout_ms)
    waits = np.where(patient, callee.silent, 0.0)
    timed_out = np.where(patient, 0.0, callee.silent) + (1 - callee.silent) * late
    good = callee.good * (1 - late)
    bad = np.clip(1 - good - waits, 0.0, 1.0)  # of one try: an error, or a time-out

    missed = bad ** (retries + 1)
    tries = np.divide(1 - missed, 1 - bad, out=retries + 1.0, where=bad < 1 - 1e-9)
    found = Calls(
        failed=missed,
        silent=waits * tries,
        delay_ms=callee.delay_ms * (1 - (late >= 1)),
        slow_share=np.zeros_like(bad),
        slow_ms=np.zeros_like(bad),
        tries=tries,
        opened=np.zeros_like(bad),
    )
    _waits(found, callee, np.where(patient, 0.0, timeout_ms), timed_out, late)
    if settled:
        _open(found, breaker & (bad >= TRIPS))
    return found


def _waits(found: Calls, callee: State, timeout_ms: Floats, timed_out: Floats, late: Floats) -> None:
    """How many calls are slow, and by how much: those that waited in vain, and those whose answer was slow."""
    in_vain = timed_out * found.tries
    some = np.minimum(1.0, in_vain)
    slow = np.where(late > 0, 0.0, callee.slow_share)
    expected = in_vain * timeout_ms + slow * callee.slow_ms
    found.slow_share = 1 - (1 - some) * (1 - slow)
    np.divide(expected, found.slow_share, out=found.slow_ms, where=found.slow_share > 0)


def _open(found: Calls, opens: Flags) -> None:
    """Breakers that have opened turn most calls away at once."""
    share: Floats = np.where(opens, OPEN, 0.0)
    found.failed *= 1 - share
    found.failed += share
    for part in (found.silent, found.delay_ms, found.slow_share):
        part *= 1 - share
    found.tries *= 1 - share
    found.opened = share
