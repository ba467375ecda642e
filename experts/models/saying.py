"""What an expert says, as it comes: for eyes only, since nothing of it has been checked yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic_core

EVERY_S = 0.1
"""Listeners are told no oftener."""
_TEXT = ("rationale", "concern")


@dataclass(frozen=True)
class Said:
    """One item of an answer as far as it has come. Later ones of the same ``number`` take its place."""

    expert: str
    model: str
    question: str
    """``propose``, ``critique`` or ``predict``."""
    number: int
    """Of the item in the answer, from 0."""
    about: str
    """Weakness and place, or the proposal's key; empty until it is known."""
    text: str
    """Rationale or concern so far, one paragraph without control characters. Written by a model: escape it."""


Listen = Callable[[Said], None]
"""Told from several threads at once, one expert each."""


class Saying:
    """Reads one expert's answer while it comes, and tells a listener. Give it each piece of the text."""

    def __init__(
        self, expert: str, model: str, question: str, listen: Listen, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._who = (expert, model, question)
        self._listen = listen
        self._clock = clock
        self._text = ""
        self._next = 0.0
        self._told: Said | None = None

    def __call__(self, piece: str) -> None:
        """Take the next piece of the answer."""
        self._text += piece
        if self._clock() >= self._next:
            self.tell()

    def tell(self) -> None:
        """Tell what has come so far, unless it was told already."""
        self._next = self._clock() + EVERY_S
        items = _items(self._text)
        if not items:
            return
        first = self._told.number if self._told else 0
        for number in range(first, len(items)):
            said = self._said(number, items[number])
            if said.text and said != self._told:
                self._told = said
                self._listen(said)

    def _said(self, number: int, item: dict[str, Any]) -> Said:
        about = " at ".join(str(item[name]) for name in ("weakness", "place") if name in item)
        about = about or str(item.get("proposal") or item.get("hypothesis") or "")
        text = next((item[name] for name in _TEXT if isinstance(item.get(name), str)), "")
        return Said(*self._who, number, plain(about), plain(text))


def plain(text: str) -> str:
    """One paragraph without control characters, so that it can do nothing to a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:4000]


def _items(text: str) -> list[dict[str, Any]]:
    try:
        data = pydantic_core.from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return []
    found = next(iter(data.values()), None) if isinstance(data, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
