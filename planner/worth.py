"""What an experiment is worth: what it should teach, what it risks, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from executor.model.plan import Experiment, Hypothesis
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief
from experts.past import at_place, kinds
from knowledge.beliefs.sight import sight
from knowledge.exposure import exposure
from knowledge.sensitivity import gain as gain_of
from knowledge.sensitivity import sensitivity
from planner.recipes.paths import checks_of
from planner.shown import Shows

Place = tuple[Weakness, str]
"""A weakness at a place."""
Seen = Mapping[Place, frozenset[str]]
"""Types of fault under which a plan has it tried already."""

FOUND_WORTH = 0.5
"""A weakness shown is mended; one ruled out only reassures. So P(breaks) counts for so many bits besides."""
CRITICALITY_WEIGHT = (0.25, 0.5, 0.75, 1.0)
"""By the criticality (0–3) of those who would be hurt."""
ALIKE_WEIGHT = 0.5
"""One result about a class foretells the next: each further place of it in one plan teaches so much less, as long as
there is no result of the class."""
TRIED_WEIGHT = 0.3
"""What is left to learn where the same type of fault has already given a verdict here."""
TOGETHER_WEIGHT = 0.5
"""What two faults at once still teach where each alone is tried already: some weaknesses need both."""
_NEW = 2
"""So many places with a result teach as much of a class as is thought of it beforehand: the next then tells less of
others, and another place of the class in the same plan is less of a repetition."""
_TOLD = (Verdict.HOLDS, Verdict.BREAKS)
_SEEN_MAX = 0.97
STICKY = 0.2
"""From here on a fault counts as hard to undo."""
SETTLE_S = 2.5
"""Usual time until all is steady again, and until the next experiment begins."""

_STICKY: Mapping[str, float] = {
    "service.crash": 0.3,
    "service.stop": 0.3,
    "service.hang": 0.2,
    "service.slowdown": 0.15,
    "network.partition": 0.15,
    "resource.cpu": 0.2,
    "resource.memory": 0.3,
    "resource.connections": 0.1,
    "resource.cpu_throttle": 0.15,
    "resource.file_descriptors": 0.15,
    "resource.processes": 0.15,
    "resource.oom": 0.3,
    "resource.disk_fill": 0.25,
    "resource.disk_readonly": 0.25,
    "resource.io_throttle": 0.15,
    "resource.io_error": 0.3,
    "resource.clock_skew": 0.2,
    "data.cache_flush": 0.2,
    "data.cache_stampede": 0.2,
    "data.lock": 0.2,
    "data.connection_failure": 0.25,
    "data.pool_exhaustion": 0.1,
    "data.corruption": 0.5,
    "data.inconsistency": 0.2,
    "data.backup_failure": 0.2,
    "infrastructure.credentials": 0.25,
    "infrastructure.vm": 0.4,
    "infrastructure.zone": 0.4,
    "infrastructure.fis": 0.4,
    "infrastructure.storage": 0.4,
}
_STICKY_OTHERWISE = 0.05


@dataclass(frozen=True)
class Worth:
    """Three figures that do not add up to one: more of the first, less of the others is better."""

    value: float
    """Expected bits about weaknesses, weighted by criticality, plus the worth of what is found."""
    risk: float
    """P(something breaks) × how critical what breaks is, plus how hard the fault is to undo; 0 to 2."""
    seconds: float
    """Expected length."""

    @property
    def rate(self) -> float:
        """Value for a second, less for a risky one."""
        return self.value / (self.seconds * (1 + self.risk))


@dataclass(frozen=True)
class Told:
    """What is known of candidates beside beliefs."""

    rehearsed: Mapping[str, float] = field(default_factory=dict)
    """By hypothesis: bits that the twin expects its verdict to tell, of those that it played through."""
    asked: Mapping[str, Mapping[Place, float]] = field(default_factory=dict)
    """By experiment: bits that it tells of the question that an earlier run left open, at a place."""
    shows: Shows = field(default_factory=dict)
    """How surely types of faults have shown weaknesses here, see ``planner.shown``."""


UNTOLD = Told()


def worth(experiment: Experiment, brief: Brief, seen: Seen, told: Told = UNTOLD) -> Worth:
    """Judge one experiment, given what the plan so far already tries."""
    return Scales(brief, told).worth(experiment, seen)


class Scales:
    """Weighs many experiments again and again while a plan grows; what does not change is reckoned once."""

    def __init__(self, brief: Brief, told: Told = UNTOLD) -> None:
        self._brief, self._told = brief, told
        self._gains: dict[tuple[str, str, frozenset[str]], float] = {}
        self._fixed: dict[str, tuple[float, float, tuple[float, ...]]] = {}
        tried: dict[Weakness, int] = {}
        for (weakness, _), rows in brief.here.items():
            tried[weakness] = tried.get(weakness, 0) + any(row.verdict in _TOLD for row in rows)
        self._alike = {weakness: 1 - (1 - ALIKE_WEIGHT) * _NEW / (_NEW + count) for weakness, count in tried.items()}

    def worth(self, experiment: Experiment, seen: Seen) -> Worth:
        """Judge one experiment, given what the plan so far already tries."""
        risk, seconds_, weights = self._of(experiment)
        places: dict[Weakness, int] = {}
        for weakness, _ in seen:
            places[weakness] = places.get(weakness, 0) + 1
        value = 0.0
        for hypothesis, weight in zip(experiment.hypotheses, weights, strict=True):
            key = (hypothesis.weakness, hypothesis.place)
            alike = places.get(hypothesis.weakness, 0) - (key in seen)
            gain = self._gain(hypothesis, experiment, seen.get(key, frozenset()))
            value += gain * self._alike.get(hypothesis.weakness, ALIKE_WEIGHT) ** alike * weight
        return Worth(value, risk, seconds_)

    def _of(self, experiment: Experiment) -> tuple[float, float, tuple[float, ...]]:
        """Its risk, its length, and what those who would be hurt by each hypothesis weigh."""
        found = self._fixed.get(experiment.id)
        if found is None:
            system = self._brief.system
            weights = tuple(CRITICALITY_WEIGHT[_criticality(h, system)] for h in experiment.hypotheses)
            found = self._fixed[experiment.id] = (_risk(experiment, system), seconds(experiment), weights)
        return found

    def _gain(self, hypothesis: Hypothesis, experiment: Experiment, before: frozenset[str]) -> float:
        name = (experiment.id, hypothesis.id, before)
        if name not in self._gains:
            self._gains[name] = max(0.0, _gain(hypothesis, experiment, self._brief, before, self._told))
        return self._gains[name]


def seconds(experiment: Experiment) -> float:
    """How long it should take, recovery as usual and not as at worst."""
    settle_s = min(experiment.recovery_deadline_s, SETTLE_S)
    return experiment.trials * (experiment.baseline_s + experiment.fault_s + settle_s)


def types(experiment: Experiment) -> frozenset[str]:
    """The types of its faults."""
    return frozenset(action.fault.looks().value for action in experiment.actions)


def stickiness(experiment: Experiment) -> float:
    """How hard its faults are to undo, 0 to 1: a rule in a proxy goes at once, a dead process has to start."""
    return max(_STICKY.get(action.fault.kind, _STICKY_OTHERWISE) for action in experiment.actions)


def present(hypothesis: Hypothesis, experiment: Experiment, brief: Brief) -> float:
    """P(present): what is believed, or what the experts' prediction says of it."""
    known = brief.believed.get((hypothesis.weakness, hypothesis.place))
    if known is not None and known.runs:
        return known.probability
    seen = sensitivity(hypothesis.weakness, types(experiment))
    return min(0.99, hypothesis.prediction.probability_breaks / max(seen, 0.05))


def _gain(hypothesis: Hypothesis, experiment: Experiment, brief: Brief, before: frozenset[str], told: Told) -> float:
    """Bits, before criticality counts, and what a find is worth besides; ``before``: types that the plan tries here."""
    weakness, place, fault_types = hypothesis.weakness, hypothesis.place, types(experiment)
    probability = present(hypothesis, experiment, brief)
    here = told.shows.get(weakness, {})
    shown = _shown(weakness, before, here) if before else 0.0
    together = len(experiment.actions) > 1
    new = together or bool(fault_types - before)
    sees = _sees(_Same(experiment), hypothesis.id, _Same(brief.system)) if new else 0.0
    lean = _shown(weakness, fault_types, here) / sensitivity(weakness, fault_types)
    sees = min(_SEEN_MAX, sees * lean)
    gain = gain_of(probability, 1 - (1 - shown) * (1 - sees)) - gain_of(probability, shown)
    if together and before:
        gain = max(gain if fault_types - before else 0.0, TOGETHER_WEIGHT * gain_of(probability, sees))
    gain = _beside(gain, gain_of(probability, sees), told.rehearsed.get(hypothesis.id))
    past = [row for row in at_place(brief, weakness, place) if row.verdict in _TOLD]
    if any(_like(row.fault, experiment) for row in past):
        gain *= TRIED_WEIGHT
    if not before and all(row.verdict is Verdict.HOLDS for row in past):
        breaks = min(_SEEN_MAX, hypothesis.prediction.probability_breaks * lean)
        gain += FOUND_WORTH * breaks * (TRIED_WEIGHT if past else 1.0)
    return max(gain, told.asked.get(experiment.id, {}).get((weakness, place), 0.0))  # another question than whether


def _shown(weakness: Weakness, names: Iterable[str], here: Mapping[str, float]) -> float:
    """P(breaks | present) under faults of these types, by what is known of this system where that is known."""
    missed = [1 - here.get(name, sensitivity(weakness, (name,))) for name in names]
    return 1 - math.prod(missed) if missed else sensitivity(weakness, ())


class _Same:
    """A value by its identity, which is told at once; its equality would be looked for in all of it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


@lru_cache(maxsize=8192)
def _sees(experiment: _Same, hypothesis: str, system: _Same) -> float:
    """P(breaks | present), by all that the experiment does and looks at: asked again for each place in a plan."""
    asked = next(each for each in experiment.value.hypotheses if each.id == hypothesis)
    return sight(asked.weakness, asked.place, exposure(experiment.value, asked, system.value)).shows


def _beside(gain: float, alone: float, rehearsed: float | None) -> float:
    """The mean of what beliefs and the twin expect of an experiment, where the twin has played it through.

    They err in different ways: the table of sensitivities knows no topology, and the twin knows only what it models.
    What the plan tries already takes the same share from both; ``alone`` is the gain without that.
    """
    if rehearsed is None:
        return gain
    left = gain / alone if alone > 0 else 0.0
    return left * (alone + rehearsed) / 2


def _like(fault: str, experiment: Experiment) -> bool:
    """Whether a past result was under faults of these kinds: of one of them, or of all at once where there are more."""
    wanted = sorted(action.fault.kind for action in experiment.actions)
    return sorted(kinds(fault)) == wanted if len(wanted) > 1 else wanted[0] in kinds(fault)[:1]


def _criticality(hypothesis: Hypothesis, system: System) -> int:
    judged = {name for criterion in hypothesis.criteria for name in getattr(criterion, "checks", ())}
    services = {check.service for check in checks_of(system) if check.id in judged} or hypothesis.place.split("->")[:1]
    return max((service.criticality for service in system.services if service.name in services), default=1)


def _risk(experiment: Experiment, system: System) -> float:
    holds = 1.0
    for hypothesis in experiment.hypotheses:
        holds *= 1 - hypothesis.prediction.probability_breaks
    worst = max(_criticality(hypothesis, system) for hypothesis in experiment.hypotheses)
    return (1 - holds) * worst / 3 + stickiness(experiment)
