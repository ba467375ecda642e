"""The twin as the planner uses it: made from what the home has learned, and heard as one more voice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from executor.model.plan import Experiment, Hypothesis, Prediction
from executor.model.system import System
from executor.state.home import Home
from experts.track_record import pool
from experts.voices import heard
from knowledge.ledger import Ledger
from knowledge.twin.calibration import NAME
from knowledge.twin.refit import learned
from knowledge.twin.rehearsal import HypothesisOutlook, Rehearsal
from knowledge.twin.twin import Twin
from knowledge.twin.worlds import Believed
from planner.state import Json

_COUNCIL = "council"
"""What was pooled before, as one voice with the weight of all."""


def twin_of(home: Home, system: System, beliefs: Iterable[Believed]) -> Twin:
    """The twin of a system, refitted to all that the home has recorded.

    Raises ``UnavailableError`` if the ledger cannot be read.
    """
    with Ledger.open(home) as ledger:
        return Twin(system, beliefs, learned(ledger, system))


def informed(experiment: Experiment, rehearsal: Rehearsal, weights: Mapping[str, float]) -> Experiment:
    """The experiment with the twin's word in each prediction that its model played through.

    Where it can only repeat what is believed it keeps silent: that is in the experts' numbers already.
    """
    heard = [_heard(h, rehearsal.hypothesis(h.id), weights) for h in experiment.hypotheses]
    return Experiment.model_validate({**experiment.model_dump(), "hypotheses": heard})


def kept(rehearsal: Rehearsal) -> Json:
    """What the session keeps of a rehearsal, in plain values; times that never come are ``None``."""
    back = rehearsal.recovery
    return {
        "breaks": rehearsal.breaks,
        "cascade": rehearsal.cascade,
        "containment": rehearsal.containment,
        "gain_bits": rehearsal.gain_bits,
        "touched": dict(rehearsal.touched),
        "recovery_s": None if back is None else [_finite(s) for s in (back.low_s, back.median_s, back.high_s)],
        "hypotheses": {
            h.hypothesis: {"breaks": h.breaks, "gain_bits": h.gain_bits, "simulated": h.simulated}
            for h in rehearsal.hypotheses
        },
    }


def _heard(hypothesis: Hypothesis, outlook: HypothesisOutlook, weights: Mapping[str, float]) -> Hypothesis:
    if not outlook.simulated:
        return hypothesis
    said = hypothesis.prediction
    weighs = {
        _COUNCIL: sum(weights.get(name, 1.0) for name in heard(dict(said.by))) or 1.0,
        NAME: weights.get(NAME, 1.0),
    }
    pooled = pool({_COUNCIL: said.probability_breaks, NAME: outlook.breaks}, weighs)
    by = sorted({**dict(said.by), NAME: round(outlook.breaks, 4)}.items())
    prediction = Prediction(probability_breaks=round(pooled, 4), by=tuple(by))
    return Hypothesis.model_validate({**hypothesis.model_dump(), "prediction": prediction})


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
