"""What is believed of a system before it is planned for, and the past results behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.state.home import Home
from experts.brief import KnownHypothesis, PastResult
from experts.playbook import base_rates
from knowledge.beliefs import NEIGHBOUR_MIN, Belief
from knowledge.beliefs.trace import Trace, trace
from knowledge.beliefs.update import Weighed, weighed
from knowledge.features import Features
from knowledge.ledger import Ledger
from knowledge.neighbours import Neighbour, Remembers
from knowledge.rows import PastRow
from planner.naming import names

PAST_MAX = 400
"""The latest results of this system that experts are told; and as many of others."""


@dataclass(frozen=True)
class Recollection:
    """What earlier runs, here and on similar systems, say of each weakness at each place."""

    beliefs: tuple[Belief, ...]
    past: tuple[PastResult, ...]
    """Of this system, oldest first; then of similar ones, nearest first."""
    runs: int
    """How many runs of this system these rest on."""
    made: Weighed
    """Priors and results that the beliefs were made from."""

    @property
    def known(self) -> tuple[KnownHypothesis, ...]:
        """The beliefs as a brief holds them."""
        return tuple(
            KnownHypothesis(
                weakness=b.weakness,
                place=b.place,
                probability=b.probability,
                runs=b.runs,
                grounds=b.grounds,
                leaned=b.leaned,
            )
            for b in self.beliefs
        )


def believed(home: Home, system: System) -> tuple[Belief, ...]:
    """A belief for each weakness at each place of the system where it can be, by weakness and place.

    Raises ``UnavailableError`` if ledger or memory cannot be read.
    """
    return recollect(home, system).beliefs


def recollect(home: Home, system: System) -> Recollection:
    """Beliefs and past results. Memory is opened only where there is something to remember."""
    made, heard = _weighed(home, system)
    near = sorted(heard.values(), key=lambda n: (-n.similarity, n.row.key))
    others = [n for n in near if n.row.system != system.name and n.row.decided and n.similarity >= NEIGHBOUR_MIN]
    past = (
        *(_result(row, 1.0) for row in made.rows[-PAST_MAX:]),
        *(_result(n.row, n.similarity) for n in others[:PAST_MAX]),
    )
    return Recollection(made.beliefs, past, len({row.run for row in made.rows}), made)


def explained(
    home: Home, system: System, *, place: str | None = None, weakness: Weakness | None = None, hypothesis: str = ""
) -> tuple[Trace, ...]:
    """Each belief at a place, of one weakness or of all, with everything that made it; the likeliest first.

    ``hypothesis``: only what a hypothesis of that id speaks of, as plans and runs name it. Raises ``UnavailableError``
    if ledger or memory cannot be read.
    """
    made, _ = _weighed(home, system)
    wanted = [b for b in made.beliefs if place in (None, b.place) and weakness in (None, b.weakness)]
    if hypothesis:
        wanted = [b for b in wanted if names(hypothesis, b.weakness, b.place)]
    return tuple(trace(b, made) for b in sorted(wanted, key=lambda b: (-b.probability, b.weakness.value, b.place)))


def _weighed(home: Home, system: System) -> tuple[Weighed, dict[str, Neighbour]]:
    now = datetime.now(UTC)
    rates = base_rates(system)
    with Ledger.open(home) as ledger:
        own = ledger.past(system.name)
        if not ledger.runs():
            return weighed(system, rates, own, None, now=now), {}
        from knowledge.memory import Memory

        with Memory(home, ledger) as memory:
            listening = _Listening(memory)
            return weighed(system, rates, own, listening, now=now), listening.heard


class _Listening:
    """A memory whose answers are also kept, so that what moved the beliefs can be told and is asked for only once."""

    def __init__(self, memory: Remembers) -> None:
        self._memory = memory
        self.heard: dict[str, Neighbour] = {}

    def similar_each(
        self, queries: Sequence[Features], k: int, *, now: datetime | None = None, apart: str = ""
    ) -> list[tuple[Neighbour, ...]]:
        """As the memory answers."""
        found = self._memory.similar_each(queries, k, now=now, apart=apart)
        for near in (each for group in found for each in group):
            held = self.heard.setdefault(near.row.key, near)
            if near.similarity > held.similarity:
                self.heard[near.row.key] = near
        return found


def _result(row: PastRow, similarity: float) -> PastResult:
    return PastResult(
        run=row.run,
        system=row.system,
        experiment=row.experiment,
        weakness=row.weakness,
        place=row.place,
        fault=row.fault,
        verdict=row.verdict,
        reason=row.reason,
        similarity=max(0.0, min(1.0, similarity)),
        types=row.fault_types,
    )
