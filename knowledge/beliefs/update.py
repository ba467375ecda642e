"""From priors and results to beliefs: what held lowers all that would have shown, what broke is explained jointly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.model.wording import named
from knowledge.beliefs.belief import SHOWN_MIN, Belief, Key, inside, line
from knowledge.beliefs.kin import Kin
from knowledge.beliefs.noisy_or import Broke, posterior
from knowledge.beliefs.outcomes import Outcome, outcomes, standing
from knowledge.beliefs.prior import NEIGHBOURS, Prior, prior
from knowledge.features import Features, describe
from knowledge.neighbours import Neighbour, Remembers, recency
from knowledge.rows import PastRow
from knowledge.sensitivity import FALSE_ALARM

if TYPE_CHECKING:
    from knowledge.ledger import Ledger

CONTRADICTED = 0.5
"""A ``holds`` after a ``breaks`` under the same fault counts so much: repaired, or it comes and goes."""
STRANGE_RATE = (0.2, "no playbook and no class sees it here")
"""Base rate of what a plan named at a place where it was not expected."""
BESIDE_MAX = 5
"""So many results that bear on a place without having been meant for it are told, the latest."""


def beliefs_for(
    system: System,
    rates: Mapping[Key, tuple[float, str]],
    ledger: Ledger,
    memory: Remembers | None = None,
    *,
    now: datetime | None = None,
) -> tuple[Belief, ...]:
    """A belief for each (weakness, place) of ``rates``, and for whatever else of the system was tried, in that order.

    ``rates`` holds base rates, 0–1, each with its source in words. Without a memory only base rates and own runs count.
    Raises ``UnavailableError`` if ledger or memory cannot be read.
    """
    return weighed(system, rates, ledger.past(system.name), memory, now=now or datetime.now(UTC)).beliefs


@dataclass(frozen=True)
class Weighed:
    """Beliefs, and all that they were made from."""

    beliefs: tuple[Belief, ...]
    priors: Mapping[Key, Prior]
    rows: tuple[PastRow, ...]
    """The system's own results, oldest first."""
    now: datetime


def weighed(
    system: System,
    rates: Mapping[Key, tuple[float, str]],
    own: Sequence[PastRow],
    memory: Remembers | None,
    *,
    now: datetime,
) -> Weighed:
    """As ``beliefs_for``, from the system's own results, with what is needed to say why."""
    priors = _priors(system, rates, own, memory, now=now)
    found = standing(outcomes(own, priors))
    believed = joint(priors, found, now=now)
    if memory is not None and own:
        priors = _with_kin(system, priors, own, believed, now=now)
        believed = joint(priors, found, now=now)
    mine: dict[Key, list[PastRow]] = {}
    for row in own:
        mine.setdefault((row.weakness, row.place), []).append(row)
    bearing: dict[Key, list[Outcome]] = {}
    for one in found:
        for key in one.causes:
            bearing.setdefault(key, []).append(one)
    there = {service.name for service in system.services} | {edge.place for edge in system.dependencies}
    told = _sorted(key for key in priors if key in rates or key[1] in there)
    beliefs = (_belief(key, priors[key], believed[key], mine.get(key, ()), bearing.get(key, ())) for key in told)
    return Weighed(tuple(beliefs), priors, tuple(own), now)


def believe(
    key: Key,
    rate: tuple[float, str],
    own: Sequence[PastRow],
    neighbours: Sequence[Neighbour] = (),
    *,
    now: datetime,
) -> Belief:
    """One belief for itself, where nothing else would explain its results.

    Of equal faults the latest verdict counts, and a ``holds`` under one type leaves room for what other types may
    still show. Inconclusive and aborted results, and those whose edge was not exercised, move nothing.
    """
    before = prior(key[0], rate, neighbours)
    found = standing(outcomes(own, (key,)))
    return _belief(key, before, joint({key: before}, found, now=now)[key], own, found)


def tested_types(past: Iterable[PastRow], weakness: Weakness, place: str) -> Mapping[str, Verdict]:
    """Type of fault → latest verdict that decided something, for one weakness at one place of one system."""
    here = [row for row in past if row.decided and (row.weakness, row.place) == (weakness, place)]
    return {name: row.verdict for row in here for name in row.fault_types}


def _priors(
    system: System,
    rates: Mapping[Key, tuple[float, str]],
    own: Iterable[PastRow],
    memory: Remembers | None,
    *,
    now: datetime,
) -> dict[Key, Prior]:
    """The prior of each weakness at each place, and of whatever else the system's own results speak of."""
    strange = {(row.weakness, row.place) for row in own if row.decided} - rates.keys()
    wanted = {**rates, **dict.fromkeys(sorted(strange), STRANGE_RATE)}
    keys = _sorted(wanted)
    near = _near(system, {key: describe(system, *key) for key in keys}, memory, now)
    return {key: prior(key[0], wanted[key], near[key]) for key in keys}


def _with_kin(
    system: System, priors: Mapping[Key, Prior], own: Iterable[PastRow], believed: Mapping[Key, float], *, now: datetime
) -> dict[Key, Prior]:
    """The priors, leaned also by what came out at the system's other places."""
    kin = Kin.of(own, believed, now)
    return {
        key: prior(key[0], (before.rate, before.source), before.neighbours, near)
        if key[0] in kin.results and (near := kin.near(describe(system, *key)))
        else before
        for key, before in priors.items()
    }


def joint(priors: Mapping[Key, Prior], found: Iterable[Outcome], *, now: datetime) -> dict[Key, float]:
    """P(present) of each, all outcomes taken together; in whatever order they come."""
    odds = {key: math.log(before.alpha / before.beta) for key, before in priors.items()}
    broke: list[Broke[Key]] = []
    for one in sorted(found, key=lambda each: each.order):
        shows = {key: cause.shows for key, cause in one.causes.items() if key in odds and cause.shows > 0}
        if one.broke:
            broke.append(Broke(shows, FALSE_ALARM, SHOWN_MIN))
            continue
        weight = recency(one.at, now) * (CONTRADICTED if one.contradicted else 1.0)
        for key, shown in shows.items():
            odds[key] += math.log(1 - shown) * weight
    held = {key: inside(1 / (1 + math.exp(-each))) for key, each in odds.items()}
    return {key: inside(probability) for key, probability in posterior(held, broke).items()}


def _near(
    system: System, queries: Mapping[Key, Features], memory: Remembers | None, now: datetime
) -> Mapping[Key, Sequence[Neighbour]]:
    """What is remembered of places of other systems like each. Places that look alike to it are asked for once."""
    if memory is None:
        return dict.fromkeys(queries, ())
    alike: dict[str, Features] = {}
    for query in queries.values():
        alike.setdefault(query.document(), query)
    found = memory.similar_each(list(alike.values()), NEIGHBOURS, now=now, apart=system.name)
    answers = dict(zip(alike, found, strict=True))
    return {
        key: [near for near in answers[query.document()] if near.row.system != system.name]
        for key, query in queries.items()
    }


def _belief(key: Key, before: Prior, probability: float, own: Sequence[PastRow], bearing: Sequence[Outcome]) -> Belief:
    decided = [row for row in own if row.decided]
    beside = [one for one in bearing if not one.causes[key].named and one.causes[key].shows > 0]
    strength = before.alpha + before.beta + len(bearing)
    return Belief(
        weakness=key[0],
        place=key[1],
        alpha=probability * strength,
        beta=(1 - probability) * strength,
        grounds=(*before.told(), *(_told(row) for row in own), *(_told_beside(one) for one in beside[-BESIDE_MAX:])),
        runs=len(decided) + len(beside),
        tested=tuple(sorted({name for row in decided for name in row.fault_types})),
        shown=any(one.broke and one.causes[key].named for one in bearing),
        leaned=before.leaned,
    )


def _sorted(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key[0].value, key[1]))


_VERBS = {Verdict.HOLDS: "held", Verdict.BREAKS: "broke"}


def _told(row: PastRow) -> str:
    verb = _VERBS.get(row.verdict, f"{row.verdict.value} (moves nothing)")
    return line(f"{row.run}: {verb} under {row.fault}: {row.reason}")


def _told_beside(one: Outcome) -> str:
    meant = ", ".join(f"{named(weakness.value)} at {place}" for weakness, place in one.named)
    told = "broke, which this would explain too" if one.broke else "held, and this would have shown in it too"
    return line(f"{one.run}: {meant} {told} ({one.fault})")
