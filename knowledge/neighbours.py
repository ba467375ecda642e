"""Past results near a hypothesis, and how near: what memory answers with and beliefs count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from knowledge.features import Features
from knowledge.rows import PastRow

HALF_LIFE_DAYS = 180.0
"""After so long a past result counts half: systems change."""
_STRUCTURE = {
    "shape": 0.15,
    "kind": 0.2,
    "technology": 0.2,
    "caller_kind": 0.1,
    "caller_technology": 0.1,
    "protocol": 0.1,
    "role": 0.15,
}
"""What makes two places alike, by weight."""
STRUCTURE_SHARE = 0.6
"""Weight of the structured match in a similarity; the rest is the vectors'."""


@dataclass(frozen=True)
class Neighbour:
    """One past result near a hypothesis."""

    row: PastRow
    similarity: float
    """0–1; 1 only for the same weakness at a place that looks just alike, in the same words."""
    recency: float
    """0–1; 1 is now, and it halves every ``HALF_LIFE_DAYS``."""

    @property
    def weight(self) -> float:
        """How much it counts: similarity × recency."""
        return self.similarity * self.recency


class Remembers(Protocol):
    """What beliefs need of a memory."""

    def similar_each(
        self, queries: Sequence[Features], k: int, *, now: datetime | None = None, apart: str = ""
    ) -> list[tuple[Neighbour, ...]]:
        """The ``k`` nearest past results for each query, nearest first, without those of the system ``apart``."""


def similarity(query: Features, row: PastRow, closeness: float) -> float:
    """Of a past result to a query, 0–1: structured match and ``closeness`` of the vectors (0–1) together.

    Facts that are unknown on both sides say nothing. Another weakness halves it.
    """
    there = row.features
    weight, match = 0.0, 0.0
    for name, share in _STRUCTURE.items():
        ours, theirs = str(getattr(query, name)), str(getattr(there, name))
        if ours or theirs:
            weight += share
            match += share if ours == theirs else 0.0
    both = STRUCTURE_SHARE * (match / weight if weight else 0.0) + (1 - STRUCTURE_SHARE) * closeness
    return max(0.0, min(1.0, both)) * (1.0 if query.weakness is row.weakness else 0.5)


def recency(then: datetime, now: datetime) -> float:
    """1 for now and for the future, halving every ``HALF_LIFE_DAYS``."""
    days = max(0.0, (now - then).total_seconds() / 86_400)
    return math.pow(0.5, days / HALF_LIFE_DAYS)
