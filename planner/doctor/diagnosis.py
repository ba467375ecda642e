"""What one look at the machine gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at."""

    what: str
    works: bool
    detail: str
    remedy: str = ""
    """What to do if it should work; empty where nothing is to be done."""
    needed: bool = False
    """Whether Murphy cannot run at all without it."""
