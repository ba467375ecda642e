"""Who sits before the terminal, as far as the machine knows. Standard library only.

As ``getpass.getuser``, which takes longer to load than a halt takes to write.
"""

from __future__ import annotations

import os
import pwd

_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def whoami() -> str:
    """The user's name; ``uid 1234`` where the machine has none for it, as in many a container."""
    if said := next(filter(None, map(os.environ.get, _NAMES)), None):
        return said
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
