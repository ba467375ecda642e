"""What a sweep tells of each thing that it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from executor.kernel.holding import Hold


@dataclass(frozen=True)
class Swept:
    """One thing that was found, and what became of it."""

    outcome: Literal["done", "spared", "unwatched", "owed", "unseen"]
    """``spared``: a run that goes on looks after it; ``unwatched``: it was left alone, and nobody is seen to look after
    it; ``unseen``: it could not be looked at."""
    text: str
    grave: bool = False
    """It is the journal that was not seen: there may be more to undo than was found."""
    mark: str = ""
    """Of what was left alone, where it bears one."""


def left_alone(hold: Hold, text: str, holder: str, mark: str = "") -> Swept | None:
    """What is said of something that ``holder`` holds; ``None`` if nobody does, so that it is to be undone."""
    if hold == "nobody":
        return None
    if hold == "held":
        return Swept("spared", f"{text}, which {holder} holds", mark=mark)
    why = "but no lease of it and no watchdog can be seen; end that run, and sweep again"
    return Swept("unwatched", f"{text}, which {holder} has made, {why}", mark=mark)


def line(error: Exception) -> str:
    """Its words, in one line without an end."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
