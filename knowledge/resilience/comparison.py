"""The scores that other tools would give the same run, by their own formulas, so that they can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from executor.model.vocabulary import Verdict
from knowledge.resilience.measures import Dimension, Measure
from knowledge.rows import PastRow

_CRITICAL, _WARNING = 3, 1
_SLOS = (Dimension.AVAILABILITY, Dimension.DEGRADATION, Dimension.LATENCY)


def litmus(results: Sequence[PastRow]) -> float | None:
    """Litmus's resiliency score, 0–100: Σ weight × probe success percentage ÷ Σ weight over the faults of a run.

    An experiment is a fault here, with equal weight, and its hypotheses are its probes; one that did not hold did not
    pass. Percentages are whole, and the score is cut after two digits, as there. ``None`` without any.

    Source: litmuschaos/litmus, ``chaoscenter/graphql/server/pkg/chaos_experiment_run/service.go``
    (``ProcessCompletedExperimentRun``); litmuschaos/litmus-go, ``pkg/result/chaosresult.go``.
    """
    probes: dict[str, list[bool]] = defaultdict(list)
    for row in results:
        probes[row.experiment].append(row.verdict is Verdict.HOLDS)
    if not probes:
        return None
    percentages = [sum(passed) * 100 // len(passed) for passed in probes.values()]
    return int(sum(percentages) / len(percentages) * 100) / 100


def krkn(measures: Sequence[Measure]) -> int | None:
    """Krkn's resiliency score, 0–100: (total points − points lost) ÷ total points, a mean over scenarios.

    An experiment is a scenario here, with weight 1. Its SLOs are what its checks promise of availability and latency:
    3 points for a critical check, 1 for any other, lost if the promise was not kept. ``None`` without any.

    Source: krkn-chaos/krkn, ``krkn/resiliency/score.py`` (``calculate_resiliency_score``) and
    ``krkn/resiliency/resiliency.py`` (``finalize_report``), which both cut to whole numbers.
    """
    total: dict[str, int] = defaultdict(int)
    lost: dict[str, int] = defaultdict(int)
    for measure in measures:
        if measure.dimension in _SLOS and measure.value is not None and measure.promised is not None:
            points = _CRITICAL if measure.critical else _WARNING
            total[measure.experiment] += points
            late = measure.dimension is Dimension.LATENCY
            kept = measure.value <= measure.promised if late else measure.value >= measure.promised
            lost[measure.experiment] += 0 if kept else points
    if not total:
        return None
    scores = [int((total[name] - lost[name]) / total[name] * 100) for name in total]
    return int(sum(scores) / len(scores))
