"""How good the twin's predictions were: each is in the plan that was run, and so in the ledger beside its verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor.model.vocabulary import Verdict
from knowledge.calibration import Calibration, calibration
from knowledge.rows import PastPrediction, PastRow

if TYPE_CHECKING:
    from knowledge.ledger import Ledger

NAME = "twin"
"""By which the ledger knows its predictions, among those of the experts."""
BINS = 10


@dataclass(frozen=True)
class Foretold:
    """Predictions of one system's runs, or of all, held against the verdicts that they met."""

    twin: Calibration | None
    """``None``: none of its predictions has met a clear verdict."""
    plans: Calibration | None
    """What experts and twin said together."""


def foretold(ledger: Ledger, system_name: str | None = None) -> Foretold:
    """From all runs that are recorded. Raises ``UnavailableError`` if the ledger cannot be read."""
    past = ledger.past(system_name)
    runs = {row.run for row in past}
    return held_against(past, (said for said in ledger.predictions() if said.run in runs))


def held_against(past: Iterable[PastRow], predictions: Iterable[PastPrediction]) -> Foretold:
    """The same from rows. Results that say nothing of a weakness score nobody."""
    clear = (Verdict.HOLDS, Verdict.BREAKS)
    said = [
        (p.probability, p.verdict is Verdict.BREAKS) for p in predictions if p.expert == NAME and p.verdict in clear
    ]
    pooled = [(row.predicted, row.verdict is Verdict.BREAKS) for row in past if row.decided]
    return Foretold(calibration(said, BINS), calibration(pooled, BINS))
