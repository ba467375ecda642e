"""What judging takes as its input: one trial's bounds and its observations, cut into phases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from executor.measure.capacity.steps import Step
from executor.measure.columns import Recording, Series
from executor.measure.records import TrialRecord
from executor.model.capacity import Capacity
from executor.model.vocabulary import Phase

WINDOW_S = 1.0
"""Length of the run of good answers that counts as steady state regained, seconds."""
PATIENCE_S = 1.0
"""Whoever had waited less than this when a phase ended had not yet waited in vain."""

GIVEN_UP = ("unanswered",)
"""Error of askings that were still under way when a trial ended."""


def window(rate_hz: float) -> int:
    """How many consecutive good answers make a window: those of ``WINDOW_S``, at least three."""
    return max(3, math.ceil(WINDOW_S * rate_hz))


class Samples:
    """One trial's observations by source. In which order they were recorded does not matter."""

    def __init__(
        self, trial: TrialRecord, recording: Recording, searches: Mapping[tuple[str, str], Sequence[Step]] | None = None
    ) -> None:
        """``searches``: the steps of each search for a capacity, by action and instance."""
        self.trial = trial
        self.searches = searches or {}
        self.carried: dict[tuple[str, str], Capacity] = {}
        """What is known of these searches by now: ``capacity.capacities`` fills it, once, as each takes a second."""
        self._recording = recording
        self._series: dict[str, Series] = {}

    @property
    def sources(self) -> list[str]:
        """Checks, signals and counters of which there is anything."""
        return self._recording.sources

    def of(self, source: str) -> Series:
        """All observations of a source, by intended start; none if it was never asked."""
        if source not in self._series:
            self._series[source] = self._recording.series(source)
        return self._series[source]

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

    def between(self, source: str, begin_s: float, end_s: float) -> Series:
        """Observations meant to start from ``begin_s`` on and before ``end_s``."""
        series = self.of(source)
        return series.where((begin_s <= series.at_s) & (series.at_s < end_s))

    def within(self, source: str, phase: Phase, after_s: float = 0) -> Series:
        """Observations meant to start in a phase, leaving out its first ``after_s`` seconds.

        An asking of the baseline that the fault caught while it was under way says nothing of how things were before,
        unless it had by then waited longer than ``PATIENCE_S``: it is left out.
        """
        begin, end = self.bounds(phase)
        series = self.between(source, begin + after_s, end)
        if phase is Phase.BASELINE:
            return series.where((series.answered_s <= end) | (end - series.at_s > PATIENCE_S))
        return series
