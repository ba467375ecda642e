"""What a plan, a model or a server says is shown, never obeyed."""

from __future__ import annotations

import io

import pytest
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from planner.cli.output import THEME, Terminal

EVIL = "a\x1b[2J\x1b]0;title\x07\r\x9b8mb\u202ec"


@pytest.mark.parametrize(
    "wrap", [escape, Text, lambda text: Panel("x", title=Text(text))], ids=["str", "text", "title"]
)
def test_no_text_moves_the_cursor_or_hides_what_follows(wrap: object) -> None:
    said = io.StringIO()
    console = Terminal(theme=THEME, file=said, force_terminal=True, color_system="truecolor", width=80, highlight=False)
    assert callable(wrap)
    console.print(wrap(EVIL), style="bold")
    shown = said.getvalue()
    for forbidden in ("\x1b[2J", "\x1b]", "\x07", "\r", "\x9b", "\u202e"):
        assert forbidden not in shown
    assert "a\ufffd[2J" in shown
