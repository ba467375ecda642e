"""What an experiment can see of a weakness, and what it is blind to: size, duration, load, and where it looks.

The table of ``knowledge.sensitivity`` says how surely a type of fault shows a weakness if all else is as it should be.
Here is what takes away from that. An experiment that can see nothing moves nothing, whatever its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from executor.model.vocabulary import FaultType as T
from executor.model.vocabulary import Weakness
from executor.model.wording import duration, number, percent
from knowledge.beliefs.reach import FILLS, passes, reached, speaks, where
from knowledge.beliefs.usual import fills_usual, outlasts_usual
from knowledge.exposure import Exposure, Judged, Look, Strike
from knowledge.sensitivity import BLIND, SENSITIVITY

UNCOUNTED = 0.8
"""For an edge that operations were seen to use, and whose calls nobody counted during the run."""
DELAY_MS = 3000.0
"""The delay that the table's ``slow`` means."""
CLEAR = 0.25
"""A delay so much above the limit it is held against, as a share of that, is seen for sure."""
TELLING_MIN = 0.01
"""What shows less than this shows nothing."""
TOLD_MAX = 0.99
"""What leaves more than this is not worth a word."""

_CALLS: Mapping[Weakness, float] = {
    Weakness.MISSING_CIRCUIT_BREAKER: 20,  # what Hystrix wants before it opens (resilience4j: 100)
    Weakness.COLD_CACHE_OVERLOAD: 20,
    Weakness.RESOURCE_LEAK_UNDER_FAILURE: 50,
    Weakness.RETRY_STORM: 8,
    Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER: 6,
    Weakness.DOES_NOT_RECONNECT: 2,
}
"""Calls during the fault of which it needs some, e-fold."""
_SECONDS: Mapping[Weakness, float] = {Weakness.STALE_NAME_RESOLUTION: 5}
"""How long the fault has to last, e-fold, seconds."""
_RUSH_HZ = 8.0
"""Requests a second, above one, from which on a service has several at once to work at, e-fold."""


@dataclass(frozen=True)
class Sight:
    """What an experiment can see of one weakness at one place."""

    shows: float
    """P(breaks) if this weakness is there and no other, false alarms apart; 0: it is blind to it."""
    told: tuple[str, ...]
    """What takes away from it, each in a clause."""


def sight(weakness: Weakness, place: str, exposure: Exposure, *, named: bool = True) -> Sight:
    """What the experiment can see of a weakness; ``named``: its criteria were made for this one.

    One that was not named is seen only by criteria that it violates. Of several faults at least one has to show it.
    """
    missed, best = 1.0, -1.0
    told: tuple[str, ...] = ("the fault does not reach the place",)
    for strike in exposure.strikes:
        seen = [_seen(weakness, place, strike, judged, exposure, named) for judged in exposure.judged]
        one = max(seen, key=lambda each: each.shows, default=Sight(0.0, ("nothing is judged",)))
        missed *= 1 - one.shows
        if one.shows > best:
            best, told = one.shows, one.told
    shows = 1 - missed
    return Sight(shows if shows >= TELLING_MIN else 0.0, told)


def _seen(weakness: Weakness, place: str, strike: Strike, judged: Judged, exposure: Exposure, named: bool) -> Sight:
    if not named and not speaks(weakness, strike, judged):
        return Sight(0.0, ("what is judged does not speak of it",))
    if not reached(weakness, place, strike):
        return Sight(0.0, ("the fault does not reach the place",))
    shows, told = _base(weakness, place, strike, exposure), []
    for value, words in _losses(weakness, place, strike, judged, exposure):
        shows *= value
        if value < TOLD_MAX and words:
            told.append(f"{words} (× {value:.2f})")
    return Sight(min(shows, 0.97), tuple(told))


def _base(weakness: Weakness, place: str, strike: Strike, exposure: Exposure) -> float:
    """By the type of the fault, and by its delay where that is known."""
    table = SENSITIVITY[weakness]
    if strike.delay_ms is None or T(strike.type) not in (T.SLOW, T.SLUGGISH):
        return table.get(T(strike.type), BLIND)
    slow = table.get(T.SLOW, BLIND)
    if weakness in FILLS or weakness in (Weakness.MISSING_TIMEOUT, Weakness.CAPACITY_CLIFF):
        return slow  # held against limits of their own
    return min(0.97, slow * _outlasts(strike.delay_ms, exposure.timeout_ms(place)))


def _outlasts(delay_ms: float, timeout_ms: float | None) -> float:
    """How surely the caller gives up before the answer comes, against how surely it does at the usual delay."""
    if timeout_ms:
        return min(1.0, max(0.0, (delay_ms / timeout_ms - 1) / CLEAR))
    return outlasts_usual(delay_ms) / outlasts_usual(DELAY_MS)


def _losses(
    weakness: Weakness, place: str, strike: Strike, judged: Judged, exposure: Exposure
) -> Iterator[tuple[float, str]]:
    """(share that is left, why), each for itself."""
    looks = exposure.looks_of(judged)
    yield where(weakness, place, judged, looks, exposure)
    if place in exposure.uncounted:
        yield UNCOUNTED, "nobody counted calls on the edge"
    yield _size(weakness, strike, judged)
    yield _long_enough(weakness, strike, judged)
    yield _load(weakness, place, strike, exposure)
    yield _enough(weakness, strike, judged, looks, exposure)


def _size(weakness: Weakness, strike: Strike, judged: Judged) -> tuple[float, str]:
    """A delay against the limit that answers are held to."""
    if weakness is Weakness.MISSING_TIMEOUT and strike.delay_ms is not None:
        if judged.limit_ms is None:
            value = min(1.0, outlasts_usual(strike.delay_ms) / outlasts_usual(DELAY_MS))
            return value, f"a delay of {duration(strike.delay_ms / 1000)} is short beside usual time-outs"
        value = min(1.0, max(0.0, (strike.delay_ms / judged.limit_ms - 1) / CLEAR))
        short = f"a delay of {duration(strike.delay_ms / 1000)}"
        return value, f"{short} hardly exceeds the {duration(judged.limit_ms / 1000)} that are allowed"
    if weakness is Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER and strike.service and strike.instances >= 1:
        return 0.0, "no other member was left to answer"
    return 1.0, ""


def _long_enough(weakness: Weakness, strike: Strike, judged: Judged) -> tuple[float, str]:
    """Whether the fault lasts as long as what it is to show needs."""
    wanted_s = judged.limit_ms / 1000 if judged.kind == "bounded_latency" and judged.limit_ms else 0.0
    if judged.kind == "detected_within" and judged.within_s:
        wanted_s = judged.within_s
    if wanted_s and strike.duration_s <= wanted_s:
        return 0.0, f"the fault is over after {duration(strike.duration_s)}, before {duration(wanted_s)} are"
    if strike.duration_s <= judged.after_s:
        return 0.0, f"the fault is over before anything is judged, {duration(judged.after_s)} into it"
    if (seconds := _SECONDS.get(weakness)) is not None:
        value = 1 - math.exp(-strike.duration_s / seconds)
        return value, f"{duration(strike.duration_s)} are short for it"
    return 1.0, ""


def _load(weakness: Weakness, place: str, strike: Strike, exposure: Exposure) -> tuple[float, str]:
    """Whether so many requests are under way at the place that it could show."""
    rate_hz = sum(look.rate_hz for look in exposure.looks if passes(look, place)) + strike.load_hz
    if weakness in FILLS:
        waiting = strike.taken + rate_hz * _waits_s(strike, exposure.timeout_ms(place))
        return fills_usual(waiting), f"about {number(round(waiting, 1))} wait at one time"
    if weakness is Weakness.CAPACITY_CLIFF and not strike.taken:
        value = 1 - math.exp(-max(0.0, rate_hz - 1) / _RUSH_HZ)
        return value, f"{number(round(rate_hz, 1))} requests a second load it little"
    if (calls := _CALLS.get(weakness)) is not None:
        met = rate_hz * strike.duration_s * exposure.trials
        return 1 - math.exp(-met / calls), f"about {number(round(met))} calls meet the fault"
    return 1.0, ""


def _waits_s(strike: Strike, timeout_ms: float | None) -> float:
    """How long a request that meets the fault holds what it holds, at most."""
    delay_s = math.inf if strike.delay_ms is None else strike.delay_ms / 1000
    return min(strike.duration_s, delay_s, timeout_ms / 1000 if timeout_ms else math.inf)


def _enough(
    weakness: Weakness, strike: Strike, judged: Judged, looks: tuple[Look, ...], exposure: Exposure
) -> tuple[float, str]:
    """Whether enough answers would be bad to be told from chance: the judge wants the whole interval beyond."""
    struck = strike.share * strike.instances
    if judged.kind not in ("steady_state", "bounded_latency"):
        alone = judged.kind in ("recovers_within", "calls_within") or weakness is Weakness.SINGLE_POINT_OF_FAILURE
        return (struck, f"{percent(struck)} of the calls meet it") if alone else (1.0, "")
    allowed = 1 - judged.availability_min
    answers = sum(_answers(look, strike, judged, exposure) for look in looks)
    if not answers:
        return 0.0, "nothing was answered during the fault"
    bad = (struck * answers + 2) / (answers + 4)  # Agresti and Coull, "Approximate is better than exact", 1998
    spread = math.sqrt(bad * (1 - bad) / (answers + 4))
    value = _NORMAL.cdf((bad - allowed) / spread - _NORMAL.inv_cdf(0.975)) if struck > allowed else 0.0
    return value, f"{percent(struck)} of {number(round(answers))} answers meet it, and {percent(allowed)} may be bad"


_NORMAL = NormalDist()


def _answers(look: Look, strike: Strike, judged: Judged, exposure: Exposure) -> float:
    if look.answers is not None:
        return look.answers
    return look.rate_hz * max(0.0, strike.duration_s - judged.after_s) * exposure.trials
