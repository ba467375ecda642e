"""One process at a time: a lock file that says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from executor.errors import UnavailableError
from executor.kernel.process import command_line

_POLL_S = 0.05


class Owner:
    """Holds a lock file until ``close``, or until the process ends, however it ends.

    Waits up to ``wait_s`` for another holder. Raises ``UnavailableError`` that names it if it does not let go.
    """

    def __init__(self, path: Path, what: str, *, wait_s: float) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + wait_s
        while not self._taken():
            if time.monotonic() >= end:
                holder = _holder(self._file)
                os.close(self._file)
                raise UnavailableError(
                    f"{what} is in use by {holder}, and only one process may use it at a time.",
                    where=str(path),
                    hint="Wait for that one to end, or give another MURPHY_HOME.",
                )
            time.sleep(_POLL_S)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)
        self._open = True

    def close(self) -> None:
        """Let go. Idempotent; the file stays, for a removed one could be locked twice."""
        if self._open:
            self._open = False
            os.close(self._file)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _holder(file: int) -> str:
    text = os.pread(file, 32, 0).decode("ascii", "replace").strip()
    if not text.isdigit():
        return "another process"
    command = " ".join(command_line(int(text)))
    return f"process {text}" + (f" ({command[:80]})" if command else "")
