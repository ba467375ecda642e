"""What the static rules judge, and how they say no."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from executor.errors import SafetyRefusalError
from executor.model.plan import Action, Plan
from executor.model.system import System
from executor.safety.limits import Limits

Refusals = Iterator[SafetyRefusalError]


@dataclass(frozen=True)
class Case:
    """A plan, the system it is for and the limits that hold."""

    plan: Plan
    system: System
    limits: Limits

    @property
    def actions(self) -> list[Action]:
        """Every action of the plan, in order."""
        return [action for experiment in self.plan.experiments for action in experiment.actions]


def no(rule: str, measured: str, limit: str, hint: str) -> SafetyRefusalError:
    """A refusal: the rule, what was measured, the limit, and what would pass."""
    return SafetyRefusalError(rule, measured=measured, limit=limit, hint=hint)
