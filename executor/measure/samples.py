"""Recorded observations of one trial, sorted and cut into phases. Order of recording does not matter."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from executor.measure.records import TrialRecord
from executor.model.evidence import Observation
from executor.model.vocabulary import Phase

WINDOW_S = 1.0
"""Length of the run of good answers that counts as steady state regained, seconds."""
PATIENCE_S = 1.0
"""Whoever had waited less than this when a phase ended had not yet waited in vain."""

Series = Sequence[Observation]
"""Observations of one source, by intended start."""


def window(rate_hz: float) -> int:
    """How many consecutive good answers make a window: those of ``WINDOW_S``, at least three."""
    return max(3, math.ceil(WINDOW_S * rate_hz))


class Samples:
    """One trial's observations by source."""

    def __init__(self, trial: TrialRecord) -> None:
        self.trial = trial
        by_source: dict[str, list[Observation]] = defaultdict(list)
        for observation in sorted(trial.observations, key=_total_order):
            by_source[observation.source].append(observation)
        self._by_source = dict(by_source)

    def of(self, source: str) -> Series:
        """All observations of a source; none if it was never asked."""
        return self._by_source.get(source, ())

    def bounds(self, phase: Phase) -> tuple[float, float]:
        """Begin and end of a phase, seconds; empty (begin = end) if the trial never came to it."""
        trial = self.trial
        if phase is Phase.BASELINE:
            return trial.baseline_start_s, trial.fault_begins_s
        if phase is Phase.FAULT:
            begin = trial.end_s if trial.injected_s is None else trial.injected_s
            return begin, max(begin, trial.help_begins_s)
        begin = trial.end_s if trial.reverted_s is None else trial.reverted_s
        return begin, max(begin, trial.end_s)

    def within(self, source: str, phase: Phase, after_s: float = 0) -> Series:
        """Observations meant to start in a phase, leaving out its first ``after_s`` seconds.

        An asking of the baseline that the fault caught while it was under way says nothing of how things were before,
        unless it had by then waited longer than ``PATIENCE_S``: it is left out.
        """
        begin, end = self.bounds(phase)
        series = [o for o in self.of(source) if begin + after_s <= o.at_s < end]
        if phase is Phase.BASELINE:
            return [o for o in series if o.at_s + o.latency_ms / 1000 <= end or end - o.at_s > PATIENCE_S]
        return series


def _total_order(o: Observation) -> tuple[float, str, bool, float, int, float, str]:
    return o.at_s, o.source, o.ok, o.latency_ms, o.status or 0, o.value or 0.0, o.error
