"""Whether all is again as it was before the fault, as far as is watched: what a trial waits for at its end."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from executor.measure.calls import CALLS_MIN, Calls, calls, calls_between
from executor.measure.counters import edge_of
from executor.measure.detection import SAID_WELL_MIN, detection
from executor.measure.impact import impact
from executor.measure.intervals import RateRatio, Share, rate_ratio
from executor.measure.rotation import missing, telling
from executor.measure.samples import GIVEN_UP, WINDOW_S, Samples, window
from executor.model.plan import Experiment
from executor.model.probe import Check, DetectionSignal
from executor.model.vocabulary import Phase

SLOWER = 2.0
"""An answer that takes less than this times the longest of the baseline is no slower than before."""
SLOW_MS = 100.0
"""Nor is one that takes less than this: that may be what the machine does beside it."""
LAST_MIN = 3
"""Answers at the least that tell how fast a check is now."""
CLOSED = 0.5
"""An edge on which more than this share of the usual calls arrive is in use again."""


def settled(experiment: Experiment, samples: Samples) -> bool:
    """Whether nothing is left of the fault: checks and signals are well, answers as fast, edges in use as before.

    And those who shared the work all do again, where answers name who gave them.
    """
    left = any(check_left(check, samples) for check in experiment.checks)
    left = left or any(signal_left(signal, samples) for signal in experiment.signals)
    left = left or any(missing(check, samples) for check in telling(experiment))
    return not left and not any(_out_of_use(edge, samples) for edge in _counted(samples.sources))


def check_left(check: Check, samples: Samples) -> str:
    """What a check still shows of the fault, in words; empty: nothing.

    It lost its steady state and is not back for good, or most of its last answers (of ``WINDOW_S``, three at least)
    took more than ``SLOWER`` times as long as any before the fault: something is still being worked off.
    """
    seen = impact(check, samples)
    if seen.began_s is not None and seen.back_s is None:
        return f"{check.id} is not back in steady state"
    before = samples.within(check.id, Phase.BASELINE)
    usual_ms = before.latency_ms[before.ok]
    last = samples.within(check.id, Phase.RECOVERY)[-window(check.rate_hz) :]
    if not len(usual_ms) or not len(last):
        return ""
    slow_ms = max(SLOW_MS, SLOWER * float(usual_ms.max()))
    slow = Share(int(np.count_nonzero(last.latency_ms > slow_ms)), len(last))
    every = slow.good == slow.n >= LAST_MIN  # of a check that is seldom asked there are too few for an interval
    if slow.low <= 0.5 and not every:
        return ""
    now_ms = statistics.median(last.latency_ms.tolist())
    return f"{check.id} takes {now_ms:.0f} ms, before the fault at most {float(usual_ms.max()):.0f} ms"


def signal_left(signal: DetectionSignal, samples: Samples) -> str:
    """The same of a signal: it had said well before, and its last answers do not all say so.

    It may have noticed only once the fault was being taken away, and be unwell since.
    """
    if not detection(signal.id, samples).well_before:
        return ""
    series, before = samples.of(signal.id), samples.within(signal.id, Phase.BASELINE)
    usual_ms = max(SLOW_MS, SLOWER * float(before.latency_ms[before.ok].max(initial=0.0)))
    too_soon = series.fails_with(GIVEN_UP) & (series.latency_ms <= usual_ms)
    last = series.where(~too_soon)[-SAID_WELL_MIN:]
    return "" if bool(last.ok.all()) else f"{signal.id} does not say well again"


def in_use(edge: tuple[str, str], trials: Sequence[Samples]) -> RateRatio | None:
    """Calls per second on an edge in the last ``WINDOW_S`` of trials ÷ in their baselines; ``None``: not counted."""
    pairs = [(calls(each, *edge, Phase.BASELINE), _last(edge, each)) for each in trials]
    known = [(before, after) for before, after in pairs if before is not None and after is not None]
    usual, usual_s = sum(b.count for b, _ in known), sum(b.span_s for b, _ in known)
    if usual < CALLS_MIN:
        return None
    return rate_ratio(sum(a.count for _, a in known), sum(a.span_s for _, a in known), usual, usual_s)


def _last(edge: tuple[str, str], samples: Samples) -> Calls | None:
    begin_s, end_s = samples.bounds(Phase.RECOVERY)
    return calls_between(samples, *edge, max(begin_s, end_s - WINDOW_S), end_s)


def _out_of_use(edge: tuple[str, str], samples: Samples) -> bool:
    """Whether calls on an edge had fallen under the fault, and have not come back."""
    before, during = (calls(samples, *edge, phase) for phase in (Phase.BASELINE, Phase.FAULT))
    if before is None or during is None or before.count < CALLS_MIN:
        return False
    fell = rate_ratio(during.count, during.span_s, before.count, before.span_s)
    now = in_use(edge, [samples])
    return fell is not None and fell.high < 1 and (now is None or now.value < CLOSED)


def _counted(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from (edge for source in sources if (edge := edge_of(source)) is not None)
