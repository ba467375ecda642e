"""Where the state directory is, for whoever has no time to load ``executor.state.home``. Only ``os`` is loaded."""

from __future__ import annotations

import os

HALT_FILE = "HALTED"


def chosen() -> str:
    """``MURPHY_HOME``, or where it is by default; it may not be there."""
    return os.environ.get("MURPHY_HOME") or os.path.expanduser("~/.local/share/murphy")


def is_made(home: str) -> bool:
    """Whether there is a state directory already."""
    return all(os.path.isdir(os.path.join(home, name)) for name in ("keys", "runs"))
