"""What a search for a capacity has found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from executor.model.capacity import Capacity
from executor.model.wording import duration, number, percent


def told(found: Capacity) -> Iterator[tuple[str, str]]:
    """What was found, by name."""
    promise = f"{percent(found.good_share)} of them within {duration(found.good_within_ms / 1000)}"
    yield f"largest rate that is answered {promise}", largest(found)
    if found.beyond is not None and found.beyond_rps is not None:
        kept = f"{percent(found.beyond.value)} ({found.beyond.low * 100:.0f}–{percent(found.beyond.high)}) of its most"
        yield f"at {found.beyond_rps:.0f} requests/s it serves in time", kept
    if found.knee is not None:
        knee = f"{found.knee.value:.0f} requests/s ({found.knee.low:.0f}–{found.knee.high:.0f})"
        yield "latency turns up at", f"{knee}; {found.knee_why}"
    if found.cliff_at_rps is not None:
        yield "cliff", f"{found.cliff} beyond {found.cliff_at_rps:.0f} requests/s; {found.cliff_why}"
    yield "scaling", f"{found.scaling}; {found.scaling_why}{_law(found)}"
    yield "used up first", f"{found.saturated}; {found.saturated_why}"
    yield "fails by", f"{found.failure}; {found.failure_why}"
    yield "after an overload", f"{found.after}; {found.after_why}"


def largest(found: Capacity) -> str:
    """The largest rate, in words."""
    sure = f", {found.confidence * 100:.0f} % sure" if found.confidence else ""
    match found.maximum:
        case "found":
            return f"between {number(found.low_rps or 0)} and {number(found.high_rps or 0)} requests/s{sure}"
        case "at_least":
            return f"at least {number(found.low_rps or 0)} requests/s{sure}; {found.why}"
        case "below":
            return f"below {number(found.high_rps or 0)} requests/s{sure}; {found.why}"
        case _:
            return f"inconclusive; {found.why}"


def _law(found: Capacity) -> str:
    if found.contention is None or found.coherency is None:
        return ""
    sigma, kappa = found.contention, found.coherency
    peak = f", largest at {found.peak_concurrency:.0f} under way" if found.peak_concurrency else ""
    return (
        f" (σ {sigma.value:.3f}, {sigma.low:.3f}–{sigma.high:.3f}; "
        f"κ {kappa.value:.5f}, {kappa.low:.5f}–{kappa.high:.5f}{peak})"
    )
