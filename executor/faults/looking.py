"""What faults share whose reasons against them, and whose record, come from one look at the target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError


class Looking(ABC):
    """The half of a behaviour that says why not: whatever the look raises."""

    @abstractmethod
    def look(self, fault: Any, target: ProcessTarget) -> dict[str, Any]:
        """The record, as far as it does not depend on the injection. Touches nothing.

        Raises ``UnavailableError`` that says why it cannot be done there, and what to do about it.
        """

    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Why not, as the look says."""
        assert isinstance(target, ProcessTarget)
        try:
            self.look(fault, target)
        except UnavailableError as error:
            return str(error)
        return None
