"""From a system's past results to what broke and what held, each with all the weaknesses that would explain it.

Hypotheses of one experiment that were judged by the same criteria saw the same answers: they are one outcome, not
several. Beside those that the plan named, whatever else on the affected paths would have shown itself in it is an
explanation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from executor.model.vocabulary import Verdict
from knowledge.beliefs.belief import Key
from knowledge.beliefs.sight import Sight, sight
from knowledge.exposure import Exposure
from knowledge.rows import PastRow
from knowledge.sensitivity import BLIND, sensitivity

RIVAL = 0.5
"""A weakness that a plan did not name shows itself by the same criteria so much less surely: recipes choose the fault,
the checks and the limit that tell the one they are after from others."""
RIVAL_MIN = 0.02
"""One that would show itself less surely is no explanation worth telling."""
AS_TELLING = 0.8
"""A result replaces an earlier one under the same fault if it would have shown so much of what that one would."""


@dataclass(frozen=True)
class Cause:
    """One weakness that would explain an outcome."""

    shows: float
    """P(breaks) if it is there and nothing else, 0–1; 0: the experiment was blind to it."""
    named: bool
    """Whether the plan named it."""
    told: tuple[str, ...] = ()
    """What the experiment could not see of it."""


@dataclass(frozen=True)
class Outcome:
    """Something that broke or held in one experiment."""

    run: str
    experiment: str
    at: datetime
    broke: bool
    fault: str
    reason: str
    types: tuple[str, ...]
    where: tuple[str, ...]
    """What was struck."""
    causes: Mapping[Key, Cause]
    contradicted: bool = False
    """Whether an earlier one under the same fault came out otherwise."""

    @property
    def order(self) -> tuple[datetime, str, str, tuple[str, ...], bool]:
        """By time; the rest makes it unambiguous."""
        return self.at, self.run, self.experiment, tuple(sorted(f"{w} {place}" for w, place in self.named)), self.broke

    @property
    def named(self) -> tuple[Key, ...]:
        """The weaknesses that the plan named."""
        return tuple(key for key, cause in self.causes.items() if cause.named)

    @property
    def telling(self) -> float:
        """How surely it would have shown what the plan named."""
        return max((self.causes[key].shows for key in self.named), default=0.0)


def outcomes(rows: Iterable[PastRow], keys: Iterable[Key]) -> tuple[Outcome, ...]:
    """What a system's results say, oldest first; what decided nothing is left out.

    ``keys``: every weakness at every place that may explain something.
    """
    by_place: dict[str, list[Key]] = {}
    for key in keys:
        by_place.setdefault(key[1], []).append(key)
    grouped: dict[tuple[object, ...], list[PastRow]] = {}
    for row in rows:
        if row.decided:
            grouped.setdefault(_group(row), []).append(row)
    return tuple(sorted((_outcome(group, by_place) for group in grouped.values()), key=lambda one: one.order))


def standing(found: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes that still count, oldest first: each replaces those before it that tried the same, less surely.

    A weak test of what a strong one has shown, at half the delay say, takes nothing back.
    """
    kept: dict[tuple[object, ...], list[Outcome]] = {}
    for one in sorted(found, key=lambda each: each.order):
        same = (tuple(sorted(one.named)), one.types, one.where)
        before = kept.get(same, [])
        replaced = [old for old in before if one.broke or one.telling >= AS_TELLING * old.telling]
        turned = any(old.broke is not one.broke or old.contradicted for old in replaced)
        kept[same] = [*(old for old in before if old not in replaced), replace(one, contradicted=turned)]
    return tuple(sorted((one for group in kept.values() for one in group), key=lambda each: each.order))


def _group(row: PastRow) -> tuple[object, ...]:
    if row.exposure is None:
        return row.run, row.experiment, row.hypothesis
    return row.run, row.experiment, row.verdict, row.exposure.judged


def _outcome(group: Sequence[PastRow], by_place: Mapping[str, Sequence[Key]]) -> Outcome:
    first = group[0]
    broke = first.verdict is Verdict.BREAKS
    causes = {(row.weakness, row.place): _named(row, broke) for row in group}
    if first.exposure is not None:
        for key, seen in _rivals(first.exposure, by_place, causes):
            causes[key] = Cause(RIVAL * seen.shows, named=False, told=seen.told)
    strikes = first.exposure.strikes if first.exposure else ()
    return Outcome(
        run=first.run,
        experiment=first.experiment,
        at=first.at,
        broke=broke,
        fault=first.fault,
        reason=first.reason,
        types=tuple(sorted({name for row in group for name in row.fault_types})),
        where=tuple(sorted({edge for strike in strikes for edge in (strike.service, *strike.edges) if edge})),
        causes=causes,
    )


def _named(row: PastRow, broke: bool) -> Cause:
    """What broke was seen, however little its experiment should have been able to see."""
    if row.exposure is None:
        seen = Sight(sensitivity(row.weakness, row.fault_types), ())
    else:
        seen = sight(row.weakness, row.place, row.exposure)
    return Cause(max(seen.shows, BLIND) if broke else seen.shows, named=True, told=seen.told)


def _rivals(
    exposure: Exposure, by_place: Mapping[str, Sequence[Key]], named: Mapping[Key, object]
) -> Iterator[tuple[Key, Sight]]:
    for place in sorted(_near(exposure) & by_place.keys()):
        for key in by_place[place]:
            if key in named:
                continue
            seen = sight(*key, exposure, named=False)
            if seen.shows * RIVAL >= RIVAL_MIN:
                yield key, seen


def _near(exposure: Exposure) -> set[str]:
    """Places that the faults may show something of: what is struck, who calls it, and the calls one before."""
    struck = {edge for strike in exposure.strikes for edge in strike.edges}
    services = {strike.service for strike in exposure.strikes if strike.service}
    callers = {edge.partition("->")[0] for edge in struck}
    used = {edge for look in exposure.looks for edge in look.edges}
    before = {edge for edge in used if edge.partition("->")[2] in callers}
    beyond = {edge for edge in used if edge.partition("->")[0] in services}
    spoken = {judged.of for judged in exposure.judged if judged.of}
    return struck | services | callers | before | beyond | spoken
