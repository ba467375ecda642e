"""What this process may do: whether it is root's, and which capabilities it has. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_NUMBERS: Final = {
    "CAP_NET_ADMIN": 12,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
}
"""Source: linux/capability.h."""


def missing(*names: str) -> list[str]:
    """Those of these capabilities that are not in effect."""
    held = _effective()
    return [name for name in names if not held >> _NUMBERS[name] & 1]


def lacking(what: str, *names: str) -> str | None:
    """That ``what`` needs root, or capabilities that a root without them has not, in one sentence; ``None``: it is so.

    ``what`` takes a plural's verb.
    """
    if os.geteuid() != 0:
        return f"{what} need root; run Murphy as root."
    if lost := missing(*names):
        return f"{what} need {' and '.join(lost)}; grant that to the service or container that Murphy runs in."
    return None


def _effective() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
