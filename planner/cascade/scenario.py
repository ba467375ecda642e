"""How a service may be struck to see how failures spread."""

from __future__ import annotations

from enum import StrEnum


class Scenario(StrEnum):
    """What is done, and why."""

    AUTO = "auto"
    """The one that fits: redistribution where there are instances to inherit, else linear or tree by its callers."""
    LINEAR = "linear"
    """One chain of callers: its calls are slow first, then it is gone."""
    TREE = "tree"
    """The same where callers branch; the calls of each are slow by themselves."""
    DEPENDENCY = "dependency"
    """The service is gone, then silent, whoever calls it."""
    REDISTRIBUTION = "redistribution"
    """Some of its instances are gone, and the others inherit their load."""
