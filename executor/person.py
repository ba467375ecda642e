"""Who sits before the terminal, as far as the machine knows. Standard library only."""

from __future__ import annotations

import getpass
import os


def whoami() -> str:
    """The user's name; ``uid 1234`` where the machine has none for it, as in many a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
