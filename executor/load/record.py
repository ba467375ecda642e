"""Who is told of what a generator does."""

from __future__ import annotations

from typing import Protocol


class Record(Protocol):
    """Who is told of each request; all times are of the event loop's clock."""

    def next_due(self, due: float) -> None:
        """No other request is due before that."""

    def sent(self, due: float, now: float) -> None:
        """A request goes out."""

    def dropped(self, due: float) -> None:
        """One does not, since as many as may be are under way."""

    def skipped(self, due: float) -> None:
        """One does not, since it would come far too late."""

    def settled(self, due: float, now: float, outcome: str) -> None:
        """One has its answer, or is given up: the empty string when it went well, else how it failed."""


class Unrecorded:
    """Nobody wants to know."""

    def next_due(self, due: float) -> None:
        """Nothing."""

    def sent(self, due: float, now: float) -> None:
        """Nothing."""

    def dropped(self, due: float) -> None:
        """Nothing."""

    def skipped(self, due: float) -> None:
        """Nothing."""

    def settled(self, due: float, now: float, outcome: str) -> None:
        """Nothing."""
