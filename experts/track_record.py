"""How well each expert's predictions came true, and how much its word weighs because of that.

Source: scores and bins are those of ``knowledge.calibration``; the logarithmic opinion pool is Genest and Zidek,
"Combining Probability Distributions", Statistical Science 1986.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from executor.model.vocabulary import Verdict, Weakness
from knowledge.calibration import COIN_LOG, EDGE, Bin, calibration, loss

HALF_LIFE = 20.0
"""After so many later predictions an old one counts half."""
FLOOR = 0.2
"""Least weight, so that nobody is silenced."""
CEILING = 3.0
PRIOR_PREDICTIONS = 5.0
"""Every expert starts with so many predictions as good as a coin's, so that one lucky guess moves little."""
BINS = 5
COMPARED_MIN = 5
"""Fewer shared questions than this do not tell who is better."""


class Scored(Protocol):
    """A prediction that has met its verdict, as the ledger gives it."""

    @property
    def expert(self) -> str: ...  # noqa: D102  # described by the ledger
    @property
    def weakness(self) -> Weakness: ...  # noqa: D102
    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def probability(self) -> float: ...  # noqa: D102
    @property
    def verdict(self) -> Verdict: ...  # noqa: D102
    @property
    def run(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102


@dataclass(frozen=True)
class Record:
    """One expert's predictions against what came out."""

    expert: str
    n: int
    """Predictions that met a verdict of holds or breaks; others score nobody."""
    log_score: float
    """Mean of −ln of the probability given to what came out; lower is better, a coin has 0.693."""
    brier: float
    """Mean squared error of the probability; lower is better, a coin has 0.25."""
    mean_predicted: float
    mean_outcome: float
    weight: float
    """In the pooled opinion; 1 for who is as good as a coin, within [0.2, 3]."""
    calibration: tuple[Bin, ...]
    by_weakness: tuple[tuple[str, int, float], ...]
    """(weakness, n, log score), by name."""


@dataclass(frozen=True)
class Against:
    """A model's predictions beside what the same expert's playbook said of the same questions."""

    n: int
    """Questions that both answered and that came to a clear verdict."""
    log_score: float
    """The model's, of these; lower is better."""
    offline_log_score: float

    @property
    def worse(self) -> bool:
        """Whether the playbook alone would have done better, by as many questions as are needed to say so."""
        return self.n >= COMPARED_MIN and self.log_score > self.offline_log_score


def against_offline(predictions: Iterable[Scored]) -> dict[str, Against]:
    """By voice of a model (``experts.voices``), how it compares; one that shares no question is left out."""
    lost: dict[str, dict[tuple[str, Weakness, str], list[float]]] = {}
    for one in predictions:
        if one.verdict in (Verdict.HOLDS, Verdict.BREAKS):
            asked = lost.setdefault(one.expert, {}).setdefault((one.run, one.weakness, one.place), [])
            asked.append(loss(one.probability, one.verdict is Verdict.BREAKS))
    found = {}
    for name, answers in sorted(lost.items()):
        expert, dot, _ = name.partition(".")
        shared = sorted(answers.keys() & lost.get(expert, {}).keys()) if dot else []
        if shared:
            ours = [_mean(answers[each]) for each in shared]
            theirs = [_mean(lost[expert][each]) for each in shared]
            found[name] = Against(len(shared), _mean(ours), _mean(theirs))
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def track_record(predictions: Iterable[Scored]) -> list[Record]:
    """One record an expert, the best weight first. Predictions that met no clear verdict are left out."""
    said: dict[str, list[Scored]] = {}
    for one in sorted(predictions, key=lambda p: (p.at, p.run, p.weakness.value, p.place)):
        if one.verdict in (Verdict.HOLDS, Verdict.BREAKS):
            said.setdefault(one.expert, []).append(one)
    records = [_record(expert, scored) for expert, scored in said.items()]
    return sorted(records, key=lambda record: (-record.weight, record.expert))


def weights(records: Iterable[Record]) -> dict[str, float]:
    """Weight by expert; one who is not there has no record yet and weighs 1."""
    return {record.expert: record.weight for record in records}


def pool(opinions: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The experts' opinions as one: the weighted mean of their log odds, back as a probability.

    Equal opinions pool to themselves. Without opinions: 0.5. An expert without a weight weighs 1.
    """
    total = sum(weights.get(name, 1.0) for name in opinions)
    if not opinions or total <= 0:
        return 0.5
    mean = sum(weights.get(name, 1.0) * _log_odds(p) for name, p in opinions.items()) / total
    return 1 / (1 + math.exp(-mean))


def _record(expert: str, scored: Sequence[Scored]) -> Record:
    pairs = [(one.probability, one.verdict is Verdict.BREAKS) for one in scored]
    found = calibration(pairs, BINS)
    assert found is not None  # an expert is there by what it said
    losses = [loss(*pair) for pair in pairs]
    by_class: dict[str, list[float]] = {}
    for one, lost in zip(scored, losses, strict=True):
        by_class.setdefault(one.weakness.value, []).append(lost)
    return Record(
        expert=expert,
        n=found.n,
        log_score=found.log_score,
        brier=found.brier,
        mean_predicted=sum(said for said, _ in pairs) / found.n,
        mean_outcome=found.came_true,
        weight=_weight(losses),
        calibration=found.bins,
        by_weakness=tuple((name, len(some), sum(some) / len(some)) for name, some in sorted(by_class.items())),
    )


def _weight(losses: Sequence[float]) -> float:
    """From the exponentially weighted mean log score, oldest first: twice as far from a coin, e times the weight."""
    kept, total = COIN_LOG * PRIOR_PREDICTIONS, PRIOR_PREDICTIONS
    decay = 0.5 ** (1 / HALF_LIFE)
    for lost in losses:
        kept, total = kept * decay + lost, total * decay + 1
    return min(CEILING, max(FLOOR, math.exp((COIN_LOG - kept / total) / (COIN_LOG / 2))))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, EDGE), 1 - EDGE)
    return math.log(kept / (1 - kept))
