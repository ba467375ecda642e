"""What crash and stop share: an instance is ended, and down until one that fits runs again."""

from __future__ import annotations

from typing import Any

from executor.drivers.driver import Ends, able, push_on
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import FaultGoneError
from executor.faults.behaviour import LeaseKind, Record


class Down:
    """The half of a behaviour that watches an instance stay away, and sees it back."""

    lease: LeaseKind = "watchdog"
    needs: type | tuple[type, ...] = Ends

    def unsupported(self, fault: Any, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to end, and there must be a way to start it again."""
        assert isinstance(target, ResolvedInstance)
        return able(target, Ends).unendable(target)

    def renew(self, record: Record, lease_s: float) -> None:
        """Push on the lease that another machine keeps. Raises as ``Leased`` does; the rest the watchdog ends.

        Raises ``FaultGoneError`` if one runs that nobody was to start before the end (``restart: murphy``).
        """
        push_on(record, lease_s)
        if record.get("restart") == "murphy" and self.active(record) is False:
            why = "somebody has started it again, and nobody was to (restart: murphy); say who does (restarts) of it."
            raise FaultGoneError(why)

    def active(self, record: Record) -> bool | None:
        """Whether no instance that fits is running."""
        return able(record, Ends).down(record)

    def struck(self, record: Record) -> bool:
        """Whether the very one of then is gone."""
        return able(record, Ends).ended(record) is True

    def revert(self, record: Record) -> None:
        """Let the supervisor start it, or start it."""
        able(record, Ends).start(record)
