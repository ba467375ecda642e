"""How the checks of a run recovered, in words: one row for each check that an experiment hurt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor.model.evidence import Evidence, ExperimentResult, Figure
from executor.model.wording import duration, many, named, number, percent

SIGNIFICANT = 0.05
"""A trend over trials is told from this chance of its being none on."""
KEPT = "service kept: share of good service from the injection to the end of the time allowed for recovery"


@dataclass(frozen=True)
class Recovery:
    """One row. Every text but the first two may be empty."""

    experiment: str
    check: str
    lasted_s: float
    """Mean time from the injection to recovery; infinite where it was not seen in every trial."""
    noticed: str
    """When the system's own signals noticed."""
    back: str
    trials: str
    """How alike the trials were."""
    bottleneck: str
    """The longest part of the recovery, with its share."""
    kept: str


def recoveries(evidence: Evidence) -> tuple[Recovery, ...]:
    """In the order of the experiments and their checks."""
    return tuple(row for result in evidence.results for row in _rows(result))


def slowest(evidence: Evidence) -> tuple[tuple[Recovery, int], ...]:
    """Of each experiment the check that took longest, and how many others were hurt."""
    grouped: dict[str, list[Recovery]] = {}
    for row in recoveries(evidence):
        grouped.setdefault(row.experiment, []).append(row)
    return tuple((max(rows, key=lambda row: row.lasted_s), len(rows) - 1) for rows in grouped.values())


def _rows(result: ExperimentResult) -> Iterator[Recovery]:
    for recovered in (figure for figure in result.figures if figure.name == "recovered"):
        found = {figure.name: figure for figure in result.figures if figure.of == recovered.of}
        outliers = [f for f in result.figures if f.name == "mttr_outlier" and f.of.startswith(f"{recovered.of} in ")]
        kept = found.get("effectiveness")
        yield Recovery(
            experiment=result.experiment,
            check=recovered.of,
            lasted_s=found["mttr"].value if "mttr" in found else math.inf,
            noticed=_noticed(result.figures),
            back=_back(recovered, found),
            trials=", ".join(_alike(found, outliers)),
            bottleneck=_bottleneck(found),
            kept=percent(kept.value) if kept else "",
        )


def _noticed(figures: Sequence[Figure]) -> str:
    first = min((f for f in figures if f.name == "mttd"), key=lambda f: f.value, default=None)
    if first is not None:
        return f"{_span(first)} ({first.of})"
    told = [f for f in figures if f.name == "detected"]
    seen = max((round(f.value * f.n) for f in told), default=0)
    return f"in {seen} of {many(max(f.n for f in told), 'trial')}" if told else ""


def _back(recovered: Figure, found: dict[str, Figure]) -> str:
    missed = recovered.n - round(recovered.value * recovered.n)
    if missed:
        return f"not seen in {missed} of {many(recovered.n, 'trial')}"
    if since_revert := found.get("mttr_from_revert"):
        return f"{_span(since_revert)} from the revert"
    mttr = found.get("mttr")
    unaided = ", by itself" if "time_to_mitigate" in found else ""
    return f"{_span(mttr)} from the injection{unaided}" if mttr else ""


def _alike(found: dict[str, Figure], outliers: Sequence[Figure]) -> Iterator[str]:
    worst = found.get("mttr_worst")
    if worst is None:
        return
    yield f"worst of {worst.n} from the injection: {duration(worst.value)}"
    if cv := found.get("mttr_cv"):
        yield f"spread {percent(cv.value)}"
    slope = found.get("mttr_trend")
    if slope is not None and slope.p_value is not None and slope.p_value < SIGNIFICANT:
        longer = "longer" if slope.value > 0 else "shorter"
        yield f"{duration(abs(slope.value))} {longer} each time (p = {slope.p_value:.2g})"
    for outlier in outliers:
        yield f"{outlier.of.rpartition(' in ')[2]} stands apart with {duration(outlier.value)}"


def _bottleneck(found: dict[str, Figure]) -> str:
    longest = next((figure for name, figure in found.items() if name.startswith("bottleneck_")), None)
    if longest is None:
        return ""
    part = longest.name.removeprefix("bottleneck_")
    lasted = found.get(f"recovery_{part}")
    return f"{named(part)}, {percent(longest.value)}" + (f" ({duration(lasted.value)})" if lasted else "")


def _span(figure: Figure) -> str:
    """``1.6 s (1.5–1.7)``."""
    if figure.low is None or figure.high is None:
        return duration(figure.value)
    return f"{number(figure.value)} s ({number(figure.low)}–{number(figure.high)})"
