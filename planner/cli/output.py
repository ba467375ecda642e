"""How every command speaks: one console for people, JSON for programs, errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.theme import Theme

from planner.cli.visible import visible

THEME = Theme(
    {
        "holds": "green",
        "breaks": "bold red",
        "inconclusive": "yellow",
        "aborted": "magenta",
        "quiet": "dim",
        "head": "bold",
    }
)
PIPED_WIDTH = 120
"""Columns where nobody says how wide the page is: a file, a pipe, a CI log."""


class Terminal(Console):
    """A console whose every text is shown as it is, wherever it came from: plans, models, servers' answers."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What rich makes of it, with nothing in it that a terminal would obey but rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out = Terminal(theme=THEME, highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Terminal(theme=THEME, highlight=False, stderr=True)


def emit(value: Any) -> None:
    """Print ``value`` as JSON for a program; pydantic models and tuples of them are fine."""

    def plain(item: Any) -> Any:
        return item.model_dump(mode="json") if hasattr(item, "model_dump") else str(item)

    print(json.dumps(value, indent=2, default=plain))  # noqa: T201


def say(text: str = "") -> None:
    """A line for people."""
    out.print(text, soft_wrap=True)


def heading(text: str) -> None:
    """A line that begins a part."""
    out.print(f"\n[head]{text}[/head]")
