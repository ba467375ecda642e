"""Watches a trial and says when it must end: abort conditions, unreadable checks, drift, a cascade, the host.

It fails closed: what cannot be read is violated.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from executor.measure.containment import strikes
from executor.measure.impact import BAD_MIN
from executor.measure.samples import window
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget, Target
from executor.model.probe import Check
from executor.safety.limits import Guard as GuardLimits

HZ = 5.0
"""How often it looks."""
CASCADE_S = 4.0
"""Over this long is reckoned how fast a failure spreads."""
HOST_S = 5.0
"""Host processor use is averaged over this long."""
SHORT_K, SHORT_OF = 2, 3
"""In so many of its last looks the host must be short of memory: one process that begins is no shortage."""


class Answers(Protocol):
    """What the guard reads: the sampler's live side."""

    def recent(self, source: str, n: int) -> list[bool]:
        """The last ``n`` answers, oldest first."""

    def age_s(self, source: str) -> float:
        """Seconds since an answer last came."""


@dataclass(frozen=True)
class Violation:
    """A rule that is broken, what was measured, and the limit."""

    rule: str
    measured: str
    limit: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.measured}, and the limit is {self.limit}"


class Guard:
    """Looks at one trial's answers. Not for sharing between trials: each has its own answers."""

    def __init__(
        self,
        experiment: Experiment,
        limits: GuardLimits,
        answers: Answers,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._experiment = experiment
        self._limits = limits
        self._answers = answers
        self._clock = clock
        self._planned = planned_services(experiment)
        self._hurt: set[str] = set()
        self._left: list[tuple[float, str]] = []

    def look(self) -> Violation | None:
        """The first rule that is broken now, if any. A reading that raises is one."""
        try:
            return next(self._violations(), None)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            return Violation(
                "guard readable", f"it cannot read its checks: {type(error).__name__}: {error}", "readable"
            )

    def _violations(self) -> Iterator[Violation]:
        yield from self._abort_conditions()
        yield from self._silent()
        yield from self._spread()

    def _abort_conditions(self) -> Iterator[Violation]:
        if self._experiment.abort_conditions == "none":
            return
        for condition in self._experiment.abort_conditions:
            answers = self._answers.recent(condition.check, condition.of)
            if len(answers) == condition.of and sum(answers) / condition.of < condition.availability_below:
                yield Violation(
                    f"abort condition on {condition.check}",
                    f"{sum(answers)} of the last {condition.of} answers were good",
                    f"at least {condition.availability_below:.0%}",
                )

    def _silent(self) -> Iterator[Violation]:
        sources = [c.id for c in self._experiment.checks] + [s.id for s in self._experiment.signals]
        for source in sources:
            age_s = self._answers.age_s(source)
            if age_s > self._limits.check_silent_s:
                yield Violation(
                    "guard readable",
                    f"{source} has brought no answer for {age_s:.1f} s",
                    f"{self._limits.check_silent_s:g} s",
                )

    def _spread(self) -> Iterator[Violation]:
        hurt = {c.service for c in self._experiment.checks if c.service not in self._planned and self._lost(c)}
        yield from self._drift(hurt)
        yield from self._cascade(hurt)

    def _drift(self, hurt: set[str]) -> Iterator[Violation]:
        if len(hurt) > self._limits.unplanned_services_max:
            yield Violation(
                "blast radius drift",
                f"{', '.join(sorted(hurt))} left steady state, which no hypothesis speaks of",
                f"{self._limits.unplanned_services_max} such services",
            )

    def _cascade(self, hurt: set[str]) -> Iterator[Violation]:
        """How fast it spreads: a service that came back and left again counts as often as it left."""
        now_s = self._clock()
        self._left += [(now_s, name) for name in sorted(hurt - self._hurt)]
        self._left = [(at_s, name) for at_s, name in self._left if at_s > now_s - CASCADE_S]
        self._hurt = hurt
        if len(self._left) > self._limits.cascade_per_s_max * CASCADE_S:
            yield Violation(
                "cascade",
                f"{', '.join(name for _, name in self._left)} left steady state within {CASCADE_S:g} s, "
                "which no hypothesis speaks of",
                f"{self._limits.cascade_per_s_max:g} such services a second",
            )

    def _lost(self, check: Check) -> bool:
        answers = self._answers.recent(check.id, window(check.rate_hz))
        return len(answers) == window(check.rate_hz) and lost(check, answers)


def planned_services(experiment: Experiment) -> frozenset[str]:
    """Services that the experiment expects to be hurt: its targets, and those its criteria or its reach speak of."""
    named = {name for criterion in experiment.criteria for name in getattr(criterion, "checks", ())}
    planned = {c.service for c in experiment.checks if c.id in named or _reached(c, experiment)}
    return frozenset(planned.union(*(struck_services(action.target) for action in experiment.actions)))


def struck_services(target: Target) -> frozenset[str]:
    """Services that a target names: one, the two ends of an edge, or all of two groups."""
    if isinstance(target, InstanceTarget):
        return frozenset((target.service,))
    if isinstance(target, EdgeTarget):
        return frozenset((target.caller, target.callee))
    return frozenset((*target.a, *target.b))


def lost(check: Check, answers: Sequence[bool]) -> bool:
    """Whether these answers, the last there are, say that the check has left its steady state."""
    bad = len(answers) - sum(answers)
    return bad >= BAD_MIN and sum(answers) / len(answers) < check.slo.availability_min


def unwell(experiment: Experiment, answers: Answers, since_s: float) -> str:
    """Why nothing may be injected now, in words: a check that is not well in the baseline; empty if all are.

    ``since_s`` is how long the baseline has lasted, so that no answer from before it counts.
    """
    for check in experiment.checks:
        known = answers.recent(check.id, max(BAD_MIN, min(window(check.rate_hz), math.floor(since_s * check.rate_hz))))
        if lost(check, known):
            limit = f"{check.slo.availability_min * 100:g} %, as it promises"
            return f"health: {check.id} answered well {sum(known)} of {len(known)} times, and the limit is {limit}"
    return ""


def _reached(check: Check, experiment: Experiment) -> bool:
    return any(strikes(a.target, edge) for a in experiment.actions for edge in check.exercises or ())


class HostGuard:
    """Looks at the host's processor and memory, one for each run."""

    def __init__(
        self,
        limits: GuardLimits,
        *,
        cpu: Callable[[], float] = psutil.cpu_percent,
        free: Callable[[], float] | None = None,
    ) -> None:
        """``cpu`` gives the percentage since it was last asked; ``free`` the percentage of memory that can be had."""
        self._limits = limits
        self._cpu, self._free = cpu, free or _free_percent
        self._busy: deque[float] = deque(maxlen=round(HOST_S * HZ))
        self._left: deque[float] = deque(maxlen=SHORT_OF)
        self._cpu()  # the first reading has no beginning

    def look(self) -> Violation | None:
        """The first limit that is broken now, if any; call it ``HZ`` times a second."""
        try:
            self._busy.append(self._cpu())
            self._left.append(self._free())
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            return Violation("guard readable", f"the host cannot be read: {type(error).__name__}: {error}", "readable")
        return self._processor(self._busy) or self._memory(self._left)

    def _processor(self, busy: Sequence[float]) -> Violation | None:
        most = self._limits.cpu_percent_max
        if most >= 100 or len(busy) < HOST_S * HZ or sum(busy) / len(busy) <= most:
            return None
        used = sum(busy) / len(busy)
        return Violation("host processor", f"{used:.0f} % over {HOST_S:g} s", f"{most:g} %")

    def _memory(self, left: Sequence[float]) -> Violation | None:
        least = self._limits.memory_free_percent_min
        short = [free for free in left if free < least]
        return Violation("host memory", f"{short[-1]:.1f} % free", f"{least:g} %") if len(short) >= SHORT_K else None


def _free_percent() -> float:
    memory = psutil.virtual_memory()
    return 100 * memory.available / memory.total
