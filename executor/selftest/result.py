"""What comes out of one case of a self-test."""

from __future__ import annotations

from dataclasses import dataclass, field

from executor.selftest.cases import Case


@dataclass
class Result:
    """How one case came out."""

    case: Case
    residues: list[str] = field(default_factory=list)
    """What stayed that should not have, or was not told; empty if all is as it was."""
    alive: dict[str, int] = field(default_factory=dict)
    """Faults that were there, or under way, when it was struck: how many of each lease kind."""
    recovered: bool = False
    """The next start had something left to do."""
    missed: bool = False
    """The run was over before the moment came."""
    events_s: list[float] = field(default_factory=list)
    """When the run's events came, seconds after the executor began."""
    seconds: float = 0.0
    place: str = ""
    """Where its files are."""
