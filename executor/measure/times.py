"""MTTD and MTTR and their kin, each a mean over trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from executor.measure.detection import Detection, detection
from executor.measure.impact import Impact, impact
from executor.measure.intervals import mean_interval
from executor.measure.samples import Samples
from executor.model.evidence import Figure
from executor.model.plan import Experiment


@dataclass(frozen=True)
class Span:
    """A length of time that sampling pins down to between ``low`` and ``high``, seconds."""

    value: float
    low: float
    high: float


def times(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Figure]:
    """MTTD of each signal; MTTR (from injection, detection and revert), outages and flaps of each check."""
    injected = [samples for samples in trials if samples.trial.injected_s is not None]
    for signal in experiment.signals:
        noticed = [detection(signal.id, samples) for samples in injected]
        pairs = zip(noticed, injected, strict=True)
        yield from _mean("mttd", signal.id, [_to_detect(d, s) for d, s in pairs if d.well_before])
    for check in experiment.checks:
        seen = [(impact(check, samples), samples) for samples in injected]
        hurt = [(each, samples) for each, samples in seen if each.began_s is not None]
        yield from _recovery(check.id, hurt, experiment)
        watched = sum(each.watched for each, _ in seen)
        if watched:
            yield _plain("longest_outage", check.id, max(each.longest_outage_s for each, _ in seen), "s", watched)
            yield _plain("flaps", check.id, sum(each.flaps for each, _ in seen), "count", watched)


def _recovery(of: str, hurt: Sequence[tuple[Impact, Samples]], experiment: Experiment) -> Iterator[Figure]:
    yield from _mean("mttr", of, [_to_recover(each, s.trial.injected_s) for each, s in hurt])
    yield from _mean("mttr_from_revert", of, [_to_recover(each, s.trial.reverted_s, after=True) for each, s in hurt])
    detected = [(each, _first_detected_s(experiment, s)) for each, s in hurt]
    yield from _mean("mttr_from_detect", of, [_to_recover(each, at_s) for each, at_s in detected])
    mitigated = [e.settled_s is not None and e.settled_s < s.trial.help_begins_s for e, s in hurt]
    if all(mitigated):
        yield from _mean("time_to_mitigate", of, [_to_recover(each, each.began_s) for each, _ in hurt])


def _to_detect(seen: Detection, samples: Samples) -> Span | None:
    origin_s = samples.trial.injected_s
    if seen.detected_s is None or origin_s is None:
        return None
    low_s = origin_s if seen.last_well_s is None else seen.last_well_s
    return _span(origin_s, low_s, seen.detected_s, seen.detected_s)


def _to_recover(seen: Impact, origin_s: float | None, *, after: bool = False) -> Span | None:
    """From an origin to recovery; with ``after``, a recovery before the origin does not count as one."""
    at_s, by_s, bad_s = seen.recovered_s, seen.recovered_by_s, seen.last_bad_s
    if origin_s is None or at_s is None or by_s is None or (after and by_s < origin_s):
        return None
    return _span(origin_s, at_s if bad_s is None else bad_s, at_s, by_s)


def _span(origin_s: float, low_s: float, at_s: float, high_s: float) -> Span:
    return Span(max(0.0, at_s - origin_s), max(0.0, low_s - origin_s), max(0.0, high_s - origin_s))


def _first_detected_s(experiment: Experiment, samples: Samples) -> float | None:
    seen = [detection(signal.id, samples) for signal in experiment.signals]
    return min((d.detected_s for d in seen if d.well_before and d.detected_s is not None), default=None)


def _mean(name: str, of: str, spans: Sequence[Span | None]) -> Iterator[Figure]:
    """Their mean. One trial in which it never came leaves the mean unbounded, so there is no figure then.

    The interval holds the sampling error, and over several trials their spread as well.
    """
    known = [span for span in spans if span is not None]
    if not known or len(known) < len(spans):
        return
    low, high = (_average([span.low for span in known]), _average([span.high for span in known]))
    value = _average([span.value for span in known])
    if len(known) > 1:
        spread_low, spread_high = mean_interval([span.value for span in known])
        low, high = low - (value - spread_low), high + (spread_high - value)
    yield Figure(name=name, of=of, value=value, unit="s", low=max(0.0, low), high=high, n=len(known))


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _plain(name: str, of: str, value: float, unit: Literal["s", "count"], n: int) -> Figure:
    return Figure(name=name, of=of, value=value, unit=unit, n=n)
