"""What experiments say of suspected single points of failure: the graph suspects, only a run confirms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from executor.model.vocabulary import Verdict, Weakness
from knowledge.rows import PastRow
from knowledge.topology.single_points import SinglePoint


class Said(StrEnum):
    """What became of a suspicion."""

    CONFIRMED = "confirmed"
    """Users lost what they need when it failed."""
    NOT_CONFIRMED = "not confirmed"
    """It failed, and they did not."""
    UNDECIDED = "undecided"
    """It was tried, and nothing could be told."""
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Standing:
    """A suspicion, and what was found out."""

    point: SinglePoint
    said: Said
    told: PastRow | None
    """The result that says so."""


def standings(points: Iterable[SinglePoint], past: Iterable[PastRow]) -> tuple[Standing, ...]:
    """By the latest result under each fault; one that shows it is enough.

    ``past`` is in the order in which it came about; results of other places and weaknesses say nothing here, nor do
    those from when the service had several instances, of which one was struck.
    """
    latest: dict[tuple[str, str], PastRow] = {}
    for row in past:
        if row.weakness is Weakness.SINGLE_POINT_OF_FAILURE and row.features.instances <= 1:
            held = latest.get((row.place, row.fault))
            if held is None or row.decided or not held.decided:
                latest[row.place, row.fault] = row
    return tuple(
        _standing(point, [row for (place, _), row in latest.items() if place == point.service]) for point in points
    )


def _standing(point: SinglePoint, rows: list[PastRow]) -> Standing:
    for said, wanted in ((Said.CONFIRMED, (Verdict.BREAKS,)), (Said.NOT_CONFIRMED, (Verdict.HOLDS,))):
        if told := next((row for row in reversed(rows) if row.verdict in wanted), None):
            return Standing(point, said, told)
    return Standing(point, Said.UNDECIDED, rows[-1]) if rows else Standing(point, Said.NOT_TRIED, None)
