"""Why a belief is what it is: its prior, and what each result moved, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from executor.model.vocabulary import Weakness
from knowledge.beliefs.belief import Belief, Key, bits
from knowledge.beliefs.outcomes import Outcome, outcomes, standing
from knowledge.beliefs.prior import Prior
from knowledge.beliefs.update import Weighed, joint
from knowledge.rows import PastRow

How = Literal["meant", "beside", "elsewhere", "nothing"]
"""``meant``: it was tried here; ``beside``: it would have shown here too; ``elsewhere``: another weakness was found to
explain, or not to explain, what this one would have explained; ``nothing``: it decided nothing."""
MOVED_MIN = 0.005
"""Bits below which what happened elsewhere is not told."""


@dataclass(frozen=True)
class Partner:
    """Another weakness that would explain the same outcome."""

    weakness: Weakness
    place: str
    shows: float
    """P(breaks) of that outcome, if it alone is there."""
    probability: float
    """P(present), all that is known taken together."""


@dataclass(frozen=True)
class Move:
    """What one result did to a belief."""

    run: str
    experiment: str
    at: datetime
    verdict: str
    fault: str
    reason: str
    how: How
    shows: float
    """P(breaks) of the experiment if this weakness is there and no other; 0: it was blind to it."""
    blind: tuple[str, ...]
    """What took from that, in words."""
    before: float
    """P(present) before and after it, in the order in which results came."""
    after: float
    stands: bool
    """``False``: a later result under the same fault has replaced it."""
    partners: tuple[Partner, ...] = ()

    @property
    def bits(self) -> float:
        """Log odds that it moved, to the base of 2."""
        return bits(self.after) - bits(self.before)


@dataclass(frozen=True)
class Trace:
    """A belief with everything that made it."""

    belief: Belief
    prior: Prior
    moves: tuple[Move, ...]


def trace(belief: Belief, made: Weighed) -> Trace:
    """Replay the system's results, oldest first, and tell what each has done to one of its beliefs.

    The last ``after`` is the belief.
    """
    key = (belief.weakness, belief.place)
    every = outcomes(made.rows, made.priors)
    linked = linked_with(key, every)
    near = {each: made.priors[each] for each in made.priors if each in linked}
    left = standing(every)
    final = joint(near, left, now=made.now)
    counted: tuple[Outcome, ...] = ()
    before = joint(near, counted, now=made.now)[key]
    moves = []
    for one in _in_time(every, [row for row in made.rows if not row.decided and (row.weakness, row.place) == key]):
        if isinstance(one, PastRow):
            moves.append(_undecided(one, before))
            continue
        known = standing([each for each in every if each.order <= one.order])
        counts = tuple(each for each in known if linked & each.causes.keys())
        after = before if counts == counted else joint(near, counts, now=made.now)[key]
        move = _move(key, one, before, after, any(each.order == one.order for each in left), final)
        if move.how != "elsewhere" or abs(move.bits) >= MOVED_MIN:
            moves.append(move)
        counted, before = counts, after
    return Trace(belief, made.priors[key], tuple(moves))


def _in_time(found: Sequence[Outcome], undecided: Sequence[PastRow]) -> list[Outcome | PastRow]:
    together: list[Outcome | PastRow] = [*found, *undecided]
    return sorted(together, key=lambda one: (one.at, one.run))


def linked_with(key: Key, found: Sequence[Outcome]) -> set[Key]:
    """All weaknesses whose beliefs hang together with this one."""
    linked, grown = {key}, True
    while grown:
        more = {each for one in found if one.broke and linked & one.causes.keys() for each in one.causes}
        grown = not more <= linked
        linked |= more
    return linked


def _move(key: Key, one: Outcome, before: float, after: float, stands: bool, final: Mapping[Key, float]) -> Move:
    cause = one.causes.get(key)
    return Move(
        run=one.run,
        experiment=one.experiment,
        at=one.at,
        verdict="breaks" if one.broke else "holds",
        fault=one.fault,
        reason=one.reason,
        how="elsewhere" if cause is None else "meant" if cause.named else "beside",
        shows=cause.shows if cause else 0.0,
        blind=cause.told if cause else (),
        before=before,
        after=after,
        stands=stands,
        partners=tuple(_partners(key, one, final)) if one.broke else (),
    )


def _partners(key: Key, one: Outcome, final: Mapping[Key, float]) -> Iterable[Partner]:
    """The others that explain it, the likeliest first."""
    others = [(each, cause) for each, cause in one.causes.items() if each != key and cause.shows > 0 and each in final]
    ranked = sorted(others, key=lambda other: (-final[other[0]], other[0][0].value, other[0][1]))
    return (Partner(weakness, place, cause.shows, final[weakness, place]) for (weakness, place), cause in ranked)


def _undecided(row: PastRow, probability: float) -> Move:
    return Move(
        run=row.run,
        experiment=row.experiment,
        at=row.at,
        verdict=row.verdict.value,
        fault=row.fault,
        reason=row.reason,
        how="nothing",
        shows=0.0,
        blind=(),
        before=probability,
        after=probability,
        stands=True,
    )
