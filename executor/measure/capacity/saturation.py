"""Which resource a service had used up where it could carry no more."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from executor.measure.capacity.failure import REFUSED
from executor.measure.capacity.level import Level
from executor.measure.capacity.steps import Usage
from executor.model.wording import percent

Resource = Literal["cpu", "memory", "descriptors", "pool", "unknown"]
FULL = 0.9
"""Of a limit: more than this is used up, since an average over a while never reaches the whole."""
_ONE_CORE = 1.1
"""A service that computes on one core at a time uses no more than this of many."""
_FLAT = 1.1
"""Goodput that rises by less than this from the last rate carried to one far beyond it has reached its limit."""
_LEAST_POOL = 0.5
"""With fewer than this at once on average it is no pool, whose places would all be taken."""
_LOOKS_MIN: Final = 2


@dataclass(frozen=True)
class Saturation:
    """The resource, and what shows it."""

    resource: Resource
    why: str


def saturation(usage: Sequence[Usage], levels: Sequence[Level], service_s: float | None) -> Saturation:
    """Judge what an instance used at the rates beyond its largest.

    ``levels`` are all rates, ``service_s`` its latency while next to nobody waits, in seconds. In this order: *memory*
    and *descriptors* have a limit that was (nearly) reached at some moment, *cpu* one that was wanted on average (used,
    or waited for while others had it), of all cores allowed, or of one by a process that computes on one alone. Where
    none was, and goodput has stopped to rise while more is offered, requests wait for something of which there are so
    many: a *pool* (workers, connections; a lock is one of one), of about goodput × latency by Little's law; or
    something behind the service, which looks the same. A limit of the rate is no pool: less than one is served at
    once, or requests are turned away with status 429 (RFC 6585).

    Source: the utilisation law and saturation as in B. Gregg, "Systems Performance" (2020), section 2.5 (USE method);
    J. D. C. Little (1961) for the size of a pool.
    """
    if any(each.out_of_memory for each in usage):
        return Saturation("memory", "the kernel ended it for want of memory")
    alive = [each for each in usage if each.alive]
    if len(alive) < _LOOKS_MIN:
        return Saturation("unknown", "it was looked at too seldom")
    tight = max((each.memory_bytes / each.memory_max for each in alive if each.memory_max), default=0.0)
    if tight >= FULL:
        return Saturation("memory", f"{percent(tight)} of its limit was in use")
    opened = max(each.descriptors for each in alive)
    if opened >= FULL:
        return Saturation("descriptors", f"{percent(opened)} of its limit were open")
    if (processor := _processor(alive)) is not None:
        return processor
    cores = statistics.fmean(each.cpu_cores for each in alive)
    used = f"{cores:.2f} of {alive[-1].cores:g} cores and {percent(opened)} of the descriptors were used"
    return _places(levels, service_s, used)


def _processor(alive: Sequence[Usage]) -> Saturation | None:
    """Whether it was this that ran out; ``None`` if it was not."""
    cores, allowed = statistics.fmean(each.cpu_cores for each in alive), alive[-1].cores
    wanted = cores + statistics.fmean(each.waiting_cores for each in alive)
    if wanted >= FULL * allowed:
        return Saturation("cpu", f"{wanted:.2f} of {allowed:g} cores were wanted, {cores:.2f} used")
    busiest = statistics.fmean(each.busiest for each in alive)
    if FULL <= busiest <= _ONE_CORE:
        whose = "" if busiest >= FULL * wanted else " by its busiest process"
        return Saturation("cpu", f"{busiest:.2f} of {allowed:g} cores were wanted{whose}: it computes on one at a time")
    return None


def _places(levels: Sequence[Level], service_s: float | None, used: str) -> Saturation:
    """How many it answers at once, where nothing else has run out."""
    rising = sorted(levels, key=lambda level: level.offered_rps)
    best = max((level.goodput_rps for level in rising), default=0.0)
    beyond = [level for level in rising if level.offered_rps > _FLAT * best]
    if not (best and beyond and service_s):
        return Saturation("unknown", used)
    failed = Counter[str]()
    for each in beyond:
        failed.update(each.failed)
    bad = sum(each.due - each.good for each in beyond)
    at_once = best * service_s
    if 2 * failed["status 429"] > bad or at_once < _LEAST_POOL:
        why = (
            f"it serves about {best:.0f} requests/s, {at_once:.1f} at once: a limit of the rate, or something behind it"
        )
        return Saturation("unknown", f"{used}; {why}")
    others = "are turned away" if 2 * sum(failed[kind] for kind in REFUSED) > bad else "wait"
    return Saturation("pool", f"{used}; it answers about {at_once:.0f} at once, and the others {others}")
