"""The uses of an approval: each is good for one run. Standard library only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from executor.clock import wall
from executor.errors import SafetyRefusalError


def consume(db: sqlite3.Connection, nonce: str, run: str, uses: int, use: int) -> None:
    """Give a run use number ``use``, from 1, of an approval that is good for ``uses``, in the caller's transaction.

    Raises ``SafetyRefusalError`` if that use is gone, or is none of those that were granted.
    """
    used = [row["run"] for row in db.execute("SELECT run FROM approvals WHERE nonce = ? ORDER BY use", (nonce,))]
    done = 1 <= use <= uses and db.execute(
        "INSERT INTO approvals VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (nonce, use, run, wall())
    )
    if not done or done.rowcount != 1:
        raise used_up(used, uses, use)


def used_up(used: Sequence[str], uses: int, use: int) -> SafetyRefusalError:
    """The refusal of use number ``use`` of an approval that is good for ``uses``, where the runs ``used`` it before."""
    return SafetyRefusalError(
        "single use" if uses == 1 else "uses",
        measured=f"the approval was used by {', '.join(used)}" if used else f"use {use} of the approval",
        limit="one run" if uses == 1 else f"{uses} runs, each with a number of its own",
        hint="Approve the plan again.",
    )
