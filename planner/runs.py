"""Runs by name, as people give them: what to say of one that is not there."""

from __future__ import annotations

from executor.errors import InputError
from executor.state.home import Home

SHOWN_MAX = 10
"""So many of the latest runs are named."""


def unknown(home: Home, run: str, *, where: str = "") -> InputError:
    """The error for a run that has left no evidence here; it names the latest that have."""
    finished = sorted(home.runs.glob("*/evidence.json"), key=lambda path: path.stat().st_mtime_ns)
    if not finished:
        return none_yet()
    known = [path.parent.name for path in finished[-SHOWN_MAX:]]
    latest = "The latest are" if len(finished) > SHOWN_MAX else "There are" if len(known) > 1 else "There is"
    return InputError(f"there is no finished run named {run}.", where=where, hint=f"{latest} {', '.join(known)}.")


def none_yet() -> InputError:
    """The error where nothing was run so far."""
    return InputError("there is no run yet.", hint="murphy plan, murphy approve and murphy run make one.")
