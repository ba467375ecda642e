"""Which answers show that users were served in a phase, which that they were not, and which show neither."""

from __future__ import annotations

import math
from typing import NamedTuple

from executor.measure.columns import Flags, Floats, Series
from executor.measure.samples import GIVEN_UP, PATIENCE_S, Samples
from executor.model.vocabulary import Phase


class Served(NamedTuple):
    """Answers that tell something: whether each was good, and its latency in ms."""

    ok: Flags
    latency_ms: Floats


def served(samples: Samples, name: str, phase: Phase, after_s: float = 0) -> Served:
    """Every answer that tells something about the phase it was meant to start in.

    In the fault phase an answer that came only after the fault was being taken away, good or bad, tells nothing about
    how the fault would have gone on, unless the asking had by then waited longer than any good answer under the fault
    took (and at least ``PATIENCE_S``): that one was not served while the fault lasted, whatever came afterwards. Nor
    does one tell anything that was given up sooner than that when the trial ended.
    """
    series = samples.within(name, phase, after_s)
    if phase is not Phase.FAULT:
        too_soon = series.fails_with(GIVEN_UP) & (series.latency_ms <= 1000 * _patience_s(series, math.inf))
        return Served(series.ok[~too_soon], series.latency_ms[~too_soon])
    end_s = samples.bounds(phase)[1]
    in_time = series.answered_s <= end_s
    in_vain = end_s - series.at_s > _patience_s(series, end_s)
    told = in_time | in_vain
    return Served((series.ok & in_time)[told], series.latency_ms[told])


def _patience_s(series: Series, end_s: float) -> float:
    good_ms = series.latency_ms[series.ok & (series.answered_s <= end_s)]
    return max(PATIENCE_S, float(good_ms.max(initial=0.0)) / 1000)
