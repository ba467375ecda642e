"""Which answers show that users were served in a phase, which that they were not, and which show neither."""

from __future__ import annotations

from executor.measure.samples import PATIENCE_S, Samples, Series
from executor.model.vocabulary import Phase


def served(samples: Samples, name: str, phase: Phase, after_s: float = 0) -> list[tuple[bool, float]]:
    """(good, latency in ms) of every answer that tells something about the phase it was meant to start in.

    In the fault phase an answer that came only after the fault was being taken away, good or bad, tells nothing about
    how the fault would have gone on, unless the asking had by then waited longer than any good answer under the fault
    took (and at least ``PATIENCE_S``): that one was not served while the fault lasted, whatever came afterwards.
    """
    series = samples.within(name, phase, after_s)
    if phase is not Phase.FAULT:
        return [(o.ok, o.latency_ms) for o in series]
    end_s = samples.bounds(phase)[1]
    patience_s = _patience_s(series, end_s)
    told: list[tuple[bool, float]] = []
    for o in series:
        waited_s = end_s - o.at_s
        if o.at_s + o.latency_ms / 1000 <= end_s:
            told.append((o.ok, o.latency_ms))
        elif waited_s > patience_s:
            told.append((False, o.latency_ms))
    return told


def _patience_s(series: Series, end_s: float) -> float:
    good = [o.latency_ms / 1000 for o in series if o.ok and o.at_s + o.latency_ms / 1000 <= end_s]
    return max([PATIENCE_S, *good])
