"""What a sweep tells of each thing that it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Swept:
    """One thing that was found, and what became of it."""

    outcome: Literal["done", "spared", "owed", "unseen"]
    """``unseen``: it could not be looked at."""
    text: str
    grave: bool = False
    """It is the journal that was not seen: there may be more to undo than was found."""


def line(error: Exception) -> str:
    """Its words, in one line without an end."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
