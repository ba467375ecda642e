"""MTTD and MTTR and their kin, each over trials: means, how alike the trials were, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from executor.measure.bottleneck import bottleneck
from executor.measure.consistency import consistency
from executor.measure.detection import Detection, concerns, detection
from executor.measure.effectiveness import effectiveness
from executor.measure.impact import Impact, impact
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.measure.spans import Span, mean_of
from executor.model.evidence import Figure
from executor.model.plan import Experiment

Noticed = Mapping[str, Detection]
"""What each signal said in one trial."""
Hurt = Sequence[tuple[Impact, Samples, Noticed]]
"""The trials in which a check lost its steady state."""


def times(experiment: Experiment, trials: Sequence[Samples]) -> Iterator[Figure]:
    """MTTD of each signal; MTTR (from injection, detection and revert), outages and flaps of each check."""
    injected = [samples for samples in trials if samples.trial.injected_s is not None]
    noticed = [{signal.id: detection(signal.id, samples) for signal in experiment.signals} for samples in injected]
    impacts = [{check.id: impact(check, samples) for check in experiment.checks} for samples in injected]
    for signal in experiment.signals:
        heard = [(each[signal.id], s) for each, s in zip(noticed, injected, strict=True) if concerns(signal, s)]
        pairs = [(said, s) for said, s in heard if said.well_before]
        spans = {s.trial.trial: _to_detect(said, s) for said, s in pairs}
        yield from mean_of("mttd", signal.id, list(spans.values()))
        yield from consistency("mttd", signal.id, spans)
        own = [check.id for check in experiment.checks if check.service == signal.service]
        told = [each for each in zip(noticed, impacts, injected, strict=True) if concerns(signal, each[2])]
        failed = [_failed_s([of[name] for name in own or of], s) for _, of, s in told]
        yield from _detected(signal.id, [each[signal.id] for each, _, _ in told], failed)
    for check in experiment.checks:
        seen = [of[check.id] for of in impacts]
        hurt = [each for each in zip(seen, injected, noticed, strict=True) if each[0].began_s is not None]
        yield from _recovery(check.id, hurt)
        if hurt:
            kept = [effectiveness(experiment, each, s) for each, s in zip(seen, injected, strict=True)]
            told_of = [span for span in kept if span is not None]
            yield from mean_of("effectiveness", check.id, told_of, "ratio", most=1.0)
        watched = sum(each.watched for each in seen)
        if watched:
            yield _longest(check.id, [each.longest_outage for each in seen], watched)
            flaps = sum(each.flaps for each in seen)  # those between two askings are not seen, so there may be more
            yield Figure(name="flaps", of=check.id, value=flaps, unit="count", low=flaps, n=watched)


def _recovery(of: str, hurt: Hurt) -> Iterator[Figure]:
    spans = {s.trial.trial: _to_recover(each, s.trial.injected_s) for each, s, _ in hurt}
    yield from _share("recovered", of, sum(each.recovered_s is not None for each, _, _ in hurt), len(hurt))
    yield from mean_of("mttr", of, list(spans.values()))
    yield from consistency("mttr", of, spans)
    since_revert = [_to_recover(each, s.trial.reverted_s, after=True) for each, s, _ in hurt]
    yield from mean_of("mttr_from_revert", of, since_revert)
    detected = [(each, _first_detected_s(noticed)) for each, _, noticed in hurt]
    yield from mean_of("mttr_from_detect", of, [_to_recover(each, at_s) for each, at_s in detected])
    mitigated = [e.settled_s is not None and e.settled_s < s.trial.help_begins_s for e, s, _ in hurt]
    if all(mitigated):
        yield from mean_of("time_to_mitigate", of, [_to_recover(each, each.began_s) for each, _, _ in hurt])
    yield from bottleneck(of, [(each, s) for each, s, _ in hurt], [noticed for _, _, noticed in hurt])


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


def _first_detected_s(noticed: Noticed) -> float | None:
    return min((d.detected_s for d in noticed.values() if d.well_before and d.detected_s is not None), default=None)


def _failed_s(impacts: Sequence[Impact], samples: Samples) -> float | None:
    """When the first of them failed under the fault; ``None``: none did."""
    began = [each.began_s for each in impacts if each.began_s is not None]
    return min((at_s for at_s in began if at_s < samples.trial.help_begins_s), default=None)


def _detected(of: str, said: Sequence[Detection], failed: Sequence[float | None]) -> Iterator[Figure]:
    """In how many of the trials with something to report it was reported; one in which nobody asked then is none."""
    told = [
        each.detected_s is not None
        for each, at_s in zip(said, failed, strict=True)
        if at_s is not None
        and each.well_before
        and (each.detected_s is not None or (each.last_well_s is not None and each.last_well_s > at_s))
    ]
    yield from _share("detected", of, sum(told), len(told))


def _share(name: str, of: str, good: int, n: int) -> Iterator[Figure]:
    if n:
        share = Share(good, n)
        yield Figure(name=name, of=of, value=share.value, unit="ratio", low=share.low, high=share.high, n=n)


def _longest(of: str, outages: Sequence[Span], n: int) -> Figure:
    """Of all trials; without an upper end where one lasted as long as was watched."""
    most = max(span.high for span in outages)
    return Figure(
        name="longest_outage",
        of=of,
        value=max(span.value for span in outages),
        unit="s",
        low=max(span.low for span in outages),
        high=most if math.isfinite(most) else None,
        n=n,
    )
