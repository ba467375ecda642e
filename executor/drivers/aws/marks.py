"""What ours bear at Amazon, as tags: the fault's mark, and who made it, so that it can be undone without a journal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from executor.clock import here, machine, own_ticks
from executor.kernel import holding
from executor.kernel.holding import Hold

TAG: Final = "murphy"
HOLDER: Final = "murphy-holder"
"""Machine, boot with its namespaces, pid and start time of the executor."""


def tags(mark: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is to be borne by what this process makes."""
    return {TAG: mark, HOLDER: f"{_here()}/{here()}/{os.getpid()}/{own_ticks()}", **(more or {})}


def listed(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def plain(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags as EC2 tells them."""
    return {str(each["Key"]): str(each["Value"]) for each in found}


def hold(found: Mapping[str, str]) -> tuple[Hold, str]:
    """Who holds what bears these tags, and that in words.

    Whether an executor on another machine goes on cannot be told from here, so it counts as one that does.
    """
    try:
        where, place, pid, ticks = found[HOLDER].split("/")
        number, started = int(pid), int(ticks)
    except (KeyError, ValueError):
        return "held", "somebody who does not say so as Murphy does"
    if where != _here():
        return "held", "a run on another machine, where murphy recover --sweep can tell whether it goes on"
    return holding.hold(number, started, place=place), f"process {number}"


@cache
def _here() -> str:
    """Name of this machine. Its id is not to be told to others, and a copied image has it too."""
    return hashlib.sha256(f"murphy {machine()} {os.uname().nodename}".encode()).hexdigest()[:16]
