"""Ledgers with a known past: many small runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from executor.model.vocabulary import Verdict, Weakness
from knowledge.features import Features
from knowledge.rows import PastRow
from tests.knowledge.runs import MORNING


def row(
    run: str,
    place: str,
    verdict: Verdict,
    *,
    weakness: Weakness = Weakness.MISSING_TIMEOUT,
    system: str = "store",
    technology: str = "flask",
    role: str = "leaf",
    at: datetime | None = None,
    **features: object,
) -> PastRow:
    """One result; its experiment has the name of its place."""
    known = Features(
        weakness=weakness,
        system=system,
        place=place,
        shape="edge" if "->" in place else "service",
        kind="http",
        technology=technology,
        role=role,
        **features,  # type: ignore[arg-type]
    )
    return PastRow(
        run=run,
        system=system,
        experiment=place.replace("->", "-"),
        hypothesis=f"h-{place.replace('->', '-')}",
        weakness=weakness,
        place=place,
        statement="it keeps answering",
        fault="service.error",
        verdict=verdict,
        reason="",
        predicted=0.5,
        at=at or MORNING + timedelta(hours=int(run.rpartition("-")[2])),
        features=known,
    )


def runs(outcomes: Sequence[tuple[str, str, str, bool]], times: int = 3) -> Iterator[PastRow]:
    """Each (place, technology, role, broke) tried once in each of ``times`` runs."""
    for number in range(times):
        for place, technology, role, broke in outcomes:
            verdict = Verdict.BREAKS if broke else Verdict.HOLDS
            yield row(f"run-{number}", place, verdict, technology=technology, role=role)
