"""Text from anywhere, made safe to show on a terminal. Standard library only."""

from __future__ import annotations

import re

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Text without what moves a cursor, colours, hides or reorders: a plan must not choose what its reader sees."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
