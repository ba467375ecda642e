"""What ours bear at Amazon, as tags: the fault's mark, and who made it, so that it can be undone without a journal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from executor.clock import boot_id, machine, own_ticks
from executor.kernel import process

TAG: Final = "murphy"
HOLDER: Final = "murphy-holder"
"""Machine, boot, pid and start time of the executor."""


def tags(mark: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is to be borne by what this process makes."""
    return {TAG: mark, HOLDER: f"{_here()}/{boot_id()}/{os.getpid()}/{own_ticks()}", **(more or {})}


def listed(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def plain(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags as EC2 tells them."""
    return {str(each["Key"]): str(each["Value"]) for each in found}


def holder(found: Mapping[str, str]) -> str:
    """Who holds what bears these tags, in words; empty: nobody, as its executor is gone.

    Whether an executor on another machine lives cannot be told from here, so it counts as living.
    """
    try:
        where, boot, pid, ticks = found[HOLDER].split("/")
        number, started = int(pid), int(ticks)
    except (KeyError, ValueError):
        return "somebody who does not say so as Murphy does"
    if where != _here():
        return "a run on another machine, where murphy recover --sweep can tell whether it goes on"
    return f"process {number}" if boot == boot_id() and process.alive(number, started) else ""


@cache
def _here() -> str:
    """Name of this machine. Its id is not to be told to others, and a copied image has it too."""
    return hashlib.sha256(f"murphy {machine()} {os.uname().nodename}".encode()).hexdigest()[:16]
