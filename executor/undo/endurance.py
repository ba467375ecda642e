"""Outliving the shortages that faults make: of memory, processor time and descriptors. Standard library only."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SPARES = 32
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_NEEDED = ("encodings.idna", "json", "selectors", "socket", "sqlite3", "subprocess", "tempfile")
"""What reverts load on first use, or would if nothing else did."""


def endure() -> None:
    """Outlive shortages where the kernel lets us; nothing of it is needed to work.

    Last in line when memory runs out, and none of ours is taken back (root only: a limit on locked memory would count
    against every later allocation); ahead of those that burn processor time; deaf to what ends a shell's jobs.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900", encoding="ascii")
    with suppress(OSError):
        os.nice(-5)
    os.chdir("/")
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    for name in _NEEDED:
        importlib.import_module(name)
    _rehearse()
    if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        # What has been used stays, and so does what is used from now on. Not all that is mapped: half of it never is.
        ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def _rehearse() -> None:
    """Go once through what undoing goes through, so that its memory is there: a thread, its stack, a few objects."""
    thread = threading.Thread(target=lambda: [str(number) for number in range(10_000)], daemon=True)
    with suppress(RuntimeError):  # no thread to be had: then undoing does without, too
        thread.start()
        thread.join()


class Spares:
    """Descriptors held open for the moment when there are no others. For any number of threads."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._lock = threading.Lock()
        self._users = 0
        self._take()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let them go for the block, and take them again where that can be, once nobody needs them."""
        with self._lock:
            self._users += 1
            while self._held:
                os.close(self._held.pop())
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._take()

    def _take(self) -> None:
        with suppress(OSError):
            while len(self._held) < _SPARES:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
