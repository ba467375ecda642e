"""What the static rules judge, and how they say no."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from executor.errors import SafetyRefusalError
from executor.model.plan import Action, Plan
from executor.model.system import System
from executor.safety.limits import Limits
from executor.safety.reach import Peak, peak
from executor.safety.touch import Also, Touched, by

Refusals = Iterator[SafetyRefusalError]


@dataclass(frozen=True)
class Case:
    """A plan, the system it is for and the limits that hold."""

    plan: Plan
    system: System
    limits: Limits
    also: Also = field(default_factory=dict)
    """What each action was seen to strike beside what it names; before that is looked for, nothing."""

    @cached_property
    def peaks(self) -> tuple[Peak, ...]:
        """The worst moment of each stage. Raises ``InputError`` for a target that the system does not have."""
        return tuple(peak(stage, self.system, self.protected, self.also) for stage in self.plan.stages)

    def touches(self, action: Action) -> Touched:
        """What an action touches. Raises ``InputError`` for a target that the system does not have."""
        return by(action, self.system, self.also)

    @property
    def protected(self) -> frozenset[str]:
        """Services that are never a target, and whose indirect loss is limited."""
        return protected(self.system, self.limits)


def protected(system: System, limits: Limits) -> frozenset[str]:
    """Services of the system that it or the operator's limits call protected."""
    named = {service.name for service in system.services if service.protected}
    return frozenset(named | ({service.name for service in system.services} & set(limits.protected_services)))


def no(rule: str, measured: str, limit: str, hint: str) -> SafetyRefusalError:
    """A refusal: the rule, what was measured, the limit, and what would pass."""
    return SafetyRefusalError(rule, measured=measured, limit=limit, hint=hint)
