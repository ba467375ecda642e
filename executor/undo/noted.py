"""Undo by the notes alone, where the journal is lost or does not know. Standard library and behaviours only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from executor.clock import here
from executor.errors import UnavailableError
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.store import Store
from executor.undo.revert import Undone, undo_all


def undo_noted(home: Home, *, by: str, run: str | None = None) -> list[Undone]:
    """Undo what the notes of a home, or of one run, name and no living run holds. What fails stays noted."""
    # Their numbers are those of a journal that may be lost, and two journals have had the same.
    due = [replace(note, id=number) for number, note in enumerate(undo_notes.left(home, run)) if not note.held]
    return undo_all(Lost(), home, due, by=by)


class _LostStore(Store):
    """No database: whatever is asked of it raises."""

    def __init__(self) -> None:
        """There is nothing to open."""

    def write(self) -> Any:
        """Raise."""
        raise UnavailableError("there is no journal.")

    def read(self, query: str, parameters: tuple[object, ...] = ()) -> Any:  # noqa: ARG002 - as the store's
        """Raise."""
        raise UnavailableError("there is no journal.")

    def close(self) -> None:
        """There is nothing to close."""


class Lost(Journal):
    """No journal: undoing does not wait for it, and nothing is written down."""

    def __init__(self) -> None:
        self.store = _LostStore()
        self._boot = here()
