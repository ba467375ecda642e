"""Where the time of a recovery went: detection, failover, reconnecting, draining what had piled up, warming up.

Five moments cut it up, each as late as the next at most:

1. it begins: at the injection, or, where only Murphy's revert let the system get well, when that was verified;
2. the system noticed: a detection signal said unwell (only where it began at the injection);
3. the service was back: the signals that had noticed say well again;
4. callers reached it: the check no longer failed, or the longest silence without a good answer was over;
5. what had piled up was served: every asking that stood behind those from before was answered.

After that answers were good and still too slow, until steady state. Without a signal that noticed, nothing tells the
first three parts from each other: they are one, ``outage``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from executor.measure.columns import Series
from executor.measure.detection import Detection
from executor.measure.impact import Impact
from executor.measure.intervals import bootstrap
from executor.measure.samples import PATIENCE_S, Samples
from executor.measure.spans import Span, average, mean_of
from executor.model.evidence import Figure
from executor.model.vocabulary import Phase

PARTS = ("detection", "failover", "outage", "reconnect", "drain", "warm_up")
"""In order of time. ``failover``: until another instance stands in, or the same one has restarted."""

SHRINKS = 0.9
"""A wait that is at most so much of the one before shows a backlog that is being served."""


@dataclass(frozen=True)
class Moment:
    """When something was, and between when and when it can have been; seconds since the run started."""

    low: float
    at: float
    high: float

    def before(self, other: Moment) -> Moment:
        """The earlier of the two."""
        return Moment(min(self.low, other.low), min(self.at, other.at), min(self.high, other.high))

    def after(self, other: Moment) -> Moment:
        """The later of the two."""
        return Moment(max(self.low, other.low), max(self.at, other.at), max(self.high, other.high))

    def until(self, other: Moment) -> Span:
        """How long it was from here to a later moment."""
        return Span(other.at - self.at, max(0.0, other.low - self.high), other.high - self.low)


def bottleneck(
    of: str, hurt: Sequence[tuple[Impact, Samples]], noticed: Sequence[Mapping[str, Detection]]
) -> Iterator[Figure]:
    """Mean length of each part over the trials in which a check was hurt, and the longest's share of the whole.

    ``noticed`` has what each signal said, one mapping for each of ``hurt``. Nothing if it did not recover in one, or
    came back within one sampling interval, which nobody can take apart.
    """
    found = [parts(seen, samples, said) for (seen, samples), said in zip(hurt, noticed, strict=True)]
    known = [split for split in found if split is not None]
    if not known or len(known) < len(found):
        return
    means = {name: average([split[name].value if name in split else 0.0 for split in known]) for name in PARTS}
    whole = sum(means.values())
    if whole <= 1 / hurt[0][0].check.rate_hz:
        return
    for name in (name for name in PARTS if means[name] > 0):
        yield from mean_of(f"recovery_{name}", of, [split.get(name, Span(0.0, 0.0, 0.0)) for split in known])
    longest = max(PARTS, key=lambda name: means[name])
    low, high = _bounds(known, longest)
    yield Figure(
        name=f"bottleneck_{longest}",
        of=of,
        value=min(1.0, means[longest] / whole),
        unit="ratio",
        low=low,
        high=high,
        n=len(known),
    )


def parts(seen: Impact, samples: Samples, noticed: Mapping[str, Detection]) -> dict[str, Span] | None:
    """The parts of one check's recovery in one trial, by name; ``None`` if it did not recover."""
    trial, at_s = samples.trial, seen.recovered_s
    if at_s is None or seen.recovered_by_s is None or trial.injected_s is None:
        return None
    bad_s = at_s if seen.last_bad_s is None else seen.last_bad_s
    end = Moment(bad_s, at_s, seen.recovered_by_s)
    alone = at_s < trial.help_begins_s or trial.reverted_s is None
    origin_s = trial.injected_s if alone else trial.reverted_s
    assert origin_s is not None  # just seen to be
    begin = Moment(origin_s, origin_s, origin_s)
    end = end.after(begin)
    reached = _reached(seen, samples, origin_s, at_s).before(end).after(begin)
    drained = _drained(seen, samples, reached).before(end).after(reached)
    told = {name: said for name, said in noticed.items() if said.well_before and said.detected_s is not None}
    found: dict[str, Span] = {}
    if told:
        back = _back(told, samples, at_s).before(reached).after(begin)
        if alone:
            detected = _detected(told).before(back).after(begin)
            found["detection"] = begin.until(detected)
            begin = detected
        found["failover"] = begin.until(back)
        found["reconnect"] = back.until(reached)
    else:
        found["outage"] = begin.until(reached)
    found["drain"] = reached.until(drained)
    found["warm_up"] = drained.until(end)
    return found


def _detected(told: Mapping[str, Detection]) -> Moment:
    """When the first signal noticed."""
    first = min(told.values(), key=lambda said: said.detected_s or 0.0)
    assert first.detected_s is not None  # those that did not notice are left out
    return Moment(first.detected_s if first.last_well_s is None else first.last_well_s, *[first.detected_s] * 2)


def _back(told: Mapping[str, Detection], samples: Samples, recovered_s: float) -> Moment:
    """When the last of the signals that noticed said well again, for the first time that it stayed so."""
    never = Moment(recovered_s, recovered_s, recovered_s)
    latest: Moment | None = None
    for name in told:
        series = samples.of(name)
        unwell = np.flatnonzero(~series.ok & (series.at_s < recovered_s))
        if not len(unwell) or unwell[-1] + 1 >= len(series):
            return never
        moment = _first_after(series, int(unwell[-1]))
        latest = moment if latest is None else latest.after(moment)
    return never if latest is None else latest


def _reached(seen: Impact, samples: Samples, origin_s: float, recovered_s: float) -> Moment:
    """When callers got through again: with the first asking after the last failure, or with the end of a silence.

    Where failures came at once, the next asking got through. Where askings waited, it was when the longest time without
    a good answer ended.
    """
    series = samples.between(seen.check.id, samples.trial.fault_begins_s, math.nextafter(recovered_s, math.inf))
    failed = np.flatnonzero(~series.ok)
    each_s = 1 / seen.check.rate_hz
    through = Moment(origin_s, origin_s, origin_s)
    if len(failed) and failed[-1] + 1 < len(series):
        through = _first_after(series, int(failed[-1]))
        if series.answered_s[failed[-1]] <= through.at + each_s:
            return through
    came = series.answered_s[series.ok]
    came = np.concatenate([[origin_s], np.sort(came[came > origin_s])])
    gaps = np.diff(came)
    if gaps.max(initial=0.0) > 2 * each_s:
        until_s = float(came[gaps.argmax() + 1])
        through = through.after(Moment(until_s - each_s, until_s, until_s))
    return through


def _first_after(series: Series, last_bad: int) -> Moment:
    """When the answer after a bad one became a good one."""
    following = series[last_bad + 1]
    return Moment(float(series.at_s[last_bad]), following.at_s, following.answered_s)


def _drained(seen: Impact, samples: Samples, reached: Moment) -> Moment:
    """When the last asking was answered that had waited since before, or had come to stand behind such a one.

    Those that were asked meanwhile stood behind the others only if they waited noticeably less: a queue that is served
    faster than it fills shortens each time by the ratio of the two. If they waited as long, all answers are slow.
    """
    before = samples.within(seen.check.id, Phase.BASELINE)
    usual_ms = float(before.latency_ms[before.ok].max(initial=0.0))
    slow_ms = 2 * usual_ms if usual_ms else PATIENCE_S * 1000
    series = samples.of(seen.check.id)
    waited = series.where(series.ok & (series.latency_ms > slow_ms) & (series.answered_s >= reached.at))
    latest = np.maximum.accumulate(waited.answered_s)
    until_s, wait_s = reached.at, math.inf
    while count := int(np.searchsorted(waited.at_s, until_s)):
        longer_s = float(latest[count - 1]) - until_s
        if not 0 < longer_s < SHRINKS * wait_s:
            break
        until_s, wait_s = until_s + longer_s, longer_s
    return reached.after(Moment(until_s, until_s, until_s))


def _bounds(known: Sequence[Mapping[str, Span]], longest: str) -> tuple[float, float]:
    """95 % interval of a part's share: over several trials by their spread, of one by what sampling leaves open."""
    if len(known) > 1:
        return bootstrap(
            [(split[longest].value if longest in split else 0.0, _whole(split)) for split in known], _ratio
        )
    (split,) = known
    part, rest = split[longest], [span for name, span in split.items() if name != longest]
    low = _ratio([(part.low, part.low + sum(span.high for span in rest))])
    return low, _ratio([(part.high, part.high + sum(span.low for span in rest))])


def _whole(split: Mapping[str, Span]) -> float:
    return sum(span.value for span in split.values())


def _ratio(lengths: Sequence[tuple[float, float]]) -> float:
    whole = sum(of for _, of in lengths)
    return min(1.0, sum(part for part, _ in lengths) / whole) if whole > 0 else 0.0
