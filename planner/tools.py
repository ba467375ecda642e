"""What nodes may use beside the state: the home, the experts, and whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from executor.model.evidence import Event
from executor.state.home import Home
from experts.expert import Expert
from planner.shelf import Shelf

Progress = Callable[[str, str], None]
"""Takes the stage's name and what goes on in it; may be called from several threads."""


@dataclass(frozen=True)
class Tools:
    """Handed to every node."""

    home: Home
    shelf: Shelf
    experts: tuple[Expert, ...] = ()
    progress: Progress = lambda _stage, _text: None
    report: Callable[[Event], None] = lambda _event: None
    """Gets every event of a run, live."""
    stop: threading.Event | None = None
    """Set to end a run early."""

    def expert(self, name: str) -> Expert:
        """The expert of that name. Raises ``KeyError`` if the council has none."""
        return {expert.name: expert for expert in self.experts}[name]
