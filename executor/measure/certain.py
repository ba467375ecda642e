"""Whether an experiment's verdict can no longer change, so that nobody need be hurt until its planned end.

By curtailment, a sequential test without an error of its own: it stops where every continuation gives the same verdict.
What was seen so far breaks a criterion by its own judge, and would still if every answer yet to come were good. A test
that supposes answers to be alike and independent (Wald's, or a confidence sequence) would stop sooner, and would be
wrong of a system that fails over after some seconds and then keeps its promise: docs/decisions/adaptation.md.

Source: A. Wald, "Sequential Analysis" (1947), on truncation; M. Eisenberg and B. Ghosh, "Curtailed and uniformly most
powerful sequential tests", Annals of Statistics 8 (1980).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from executor.measure.criteria.common import ANSWERS_MIN, check, of_share
from executor.measure.criteria.served import served
from executor.measure.criteria.steady_state import judge
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.criteria import SteadyState
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict

LATE_S = 0.5
"""A fault may be taken away so much later than planned; what is asked meanwhile counts, and may be good."""


def can_be(experiment: Experiment) -> bool:
    """Whether its verdicts may be certain before its end, and nothing else needs the fault until then.

    One trial with one fault whose hypotheses speak of availability under the fault alone. What is said of recovery,
    detection or data needs the whole fault, and so does a criterion whose verdict may still turn.
    """
    return (
        experiment.trials == 1
        and len(experiment.actions) == 1
        and not experiment.data_checks
        and all(isinstance(each, SteadyState) and each.phase is Phase.FAULT for each in experiment.criteria)
    )


def surely_breaks(good: int, n: int, least: float, *, whole: int, pending: int = 0) -> bool:
    """Whether a share is judged below ``least``, whatever comes.

    ``good`` of ``n`` answers were good so far, ``pending`` are under way, and ``whole`` are there by the planned end.
    Both a share that ends now and one that goes on to the end, with nothing but good answers, must be below.
    """
    if n < ANSWERS_MIN:
        return False
    bad = n - good
    ends = (Share(good, n), Share(good + pending, n + pending), Share(max(0, whole - bad), max(whole, n + pending)))
    return all(of_share(share, least) is Verdict.BREAKS for share in ends)


def certain(experiment: Experiment, samples: Samples, pending: Callable[[str], int]) -> str:
    """Why every hypothesis is sure to break, in words; empty: not every one is, or it ``can_be`` none.

    ``samples`` of the trial under way, whose fault is there; ``pending``: how many askings of a check are under way.
    """
    if not can_be(experiment):
        return ""
    found = []
    for hypothesis in experiment.hypotheses:
        why = next((w for c in hypothesis.criteria if (w := _sure(c, experiment, samples, pending))), "")
        if not why:
            return ""
        found.append(why)
    return "; ".join(dict.fromkeys(found))


def _sure(criterion: object, experiment: Experiment, samples: Samples, pending: Callable[[str], int]) -> str:
    assert isinstance(criterion, SteadyState)
    for name in criterion.checks:
        one = SteadyState(**{**dict(criterion), "checks": (name,), "latency_ms_max": None})
        seen = served(samples, name, Phase.FAULT, criterion.after_s)
        good, n = int(np.count_nonzero(seen.ok)), len(seen.ok)
        lasts_s = experiment.fault_s + LATE_S - criterion.after_s
        whole = math.ceil(lasts_s * check(experiment, name).rate_hz) + 1
        if not surely_breaks(good, n, criterion.availability_min, whole=whole, pending=pending(name)):
            continue
        if judge(one, experiment, [samples]).verdict is Verdict.BREAKS:  # which also looks at the baseline
            return f"{name} answered well {good} of {n} times, and {criterion.availability_min:.0%} are wanted"
    return ""
