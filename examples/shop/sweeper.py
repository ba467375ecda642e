"""Leaves nothing of a shop behind, even when its starter was killed: ``python sweeper.py RUN_DIR [--keep]``.

It waits until its standard input ends, which the starter holds open for as long as it lives. Then it ends every process
of that shop, whoever started it, and removes the run directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "SHOP_RUN_DIR"
"""Environment variable that every process of one shop carries."""
GRACE_S = 4.0
"""PostgreSQL needs a moment: killed, it would leave shared memory behind."""


def processes_of(run: Path) -> list[int]:
    """Process ids of this shop that may still run, our own aside."""
    wanted = f"{MARK}={run}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # gone meanwhile, or not ours to read
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_all(run: Path) -> None:
    """Ask every process of the shop to end, those that stand still too; with force after ``GRACE_S`` seconds."""
    deadline = time.monotonic() + GRACE_S
    asked: set[int] = set()
    while left := processes_of(run):
        late = time.monotonic() > deadline
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                if late:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
                    os.kill(pid, signal.SIGCONT)
        asked.update(left)
        time.sleep(0.05)


def main() -> None:
    run = Path(sys.argv[1])
    sys.stdin.buffer.read()
    end_all(run)
    if "--keep" not in sys.argv[2:]:
        shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    main()
