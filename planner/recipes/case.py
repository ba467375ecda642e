"""What a recipe is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from executor.model.criteria import Criterion
from executor.model.faults import Fault
from executor.model.plan import InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import Service, System
from executor.model.vocabulary import FaultType, Scope, Weakness
from experts.proposal import Beside
from planner.recipes import paths


@dataclass(frozen=True)
class Case:
    """A weakness that may be at a place of a system, and a fault on a target that is to reveal it."""

    system: System
    weakness: Weakness
    place: str
    fault: Fault
    target: Target
    beside: tuple[Beside, ...] = ()
    """What else is done at the same time."""

    @property
    def type(self) -> FaultType:
        """What callers see of the fault."""
        return self.fault.looks()

    @property
    def edge(self) -> paths.Edge | None:
        """The place as an edge that the system has; ``None`` if it is a service, or unknown."""
        caller, _, callee = self.place.partition("->")
        return next(
            ((d.caller, d.callee) for d in self.system.dependencies if (d.caller, d.callee) == (caller, callee)), None
        )

    @property
    def service(self) -> Service | None:
        """The place as a service that the system has; ``None`` if it is an edge, or unknown."""
        return next((service for service in self.system.services if service.name == self.place), None)

    @property
    def strikes_place(self) -> bool:
        """Whether the target is the service that the place names."""
        return isinstance(self.target, InstanceTarget) and self.target.service == self.place

    @property
    def whole(self) -> bool:
        """Whether no instance of a struck service is left to answer."""
        return Scope.SERVICE in self.fault.reaches() or paths.struck_whole(self.target, self.system)

    def witnesses(self) -> tuple[Check, ...]:
        """Checks whose failing speaks of this place's edge alone; none if the place is no edge or is not struck."""
        return paths.witnesses(self.edge, self.target, self.system) if self.edge else ()


@dataclass(frozen=True)
class Judging:
    """How a hypothesis is judged. Times are the least it needs, seconds."""

    statement: str
    criteria: tuple[Criterion, ...]
    drivers: tuple[str, ...] = ()
    """Checks that are needed for the load they bring, beside those of the criteria."""
    exercised_by: tuple[paths.Edge, ...] = ()
    signals: tuple[str, ...] = ()
    baseline_s: float = 2.0
    fault_s: float = 5.0
    recovery_s: float = 5.0

    @property
    def checks(self) -> tuple[str, ...]:
        """Every check it needs, each once."""
        named = [
            name
            for criterion in self.criteria
            for name in (*getattr(criterion, "checks", ()), *getattr(criterion, "provided", ()))
        ]
        return tuple(dict.fromkeys((*named, *self.drivers)))


@dataclass(frozen=True)
class Unfit:
    """Why this fault at this place can say nothing about the weakness, in one clause."""

    reason: str


Recipe = Callable[[Case], Judging | Unfit]
