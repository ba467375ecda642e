"""Child processes that end by themselves: with the executor, and when their lease lapses.

A child watches a pidfd of the process that holds it, which a thread's end does not disturb (unlike
``PR_SET_PDEATHSIG``, which fires when the *thread* that made the child ends), and a deadline file whose modification
time is the end of its lease on ``CLOCK_BOOTTIME``. Standard library only.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from executor.clock import boottime, own_ticks, start_ticks
from executor.drivers import process
from executor.errors import UnavailableError

_READY_S = 10.0


@dataclass(frozen=True)
class Lease:
    """What a child lives by: its holder's identity and the deadline file."""

    holder: int
    holder_ticks: int
    deadline: Path

    def left_s(self) -> float:
        """Seconds until the lease lapses; 0 once it has, or the file is gone."""
        try:
            return max(0.0, self.deadline.stat().st_mtime - boottime())
        except OSError:
            return 0.0

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; ``False`` as soon as the holder is gone or the lease has lapsed."""
        until = time.monotonic() + seconds
        while (left := self.left_s()) > 0:
            nap = min(0.2, left, max(0.0, until - time.monotonic()))
            if _gone(self.holder, self.holder_ticks, nap):
                return False
            if time.monotonic() >= until:
                return True
        return False


def spawn(module: str, arguments: Sequence[str], deadline: Path, lease_s: float) -> process.Found:
    """Start ``python -m module HOLDER TICKS DEADLINE arguments…`` in a session of its own and wait until it says ready.

    The child prints one line ``ready`` once the fault is there. Raises ``UnavailableError`` with its last words if it
    ends before; nothing is left then.
    """
    extend(deadline, lease_s, create=True)
    command = [sys.executable, "-m", module, str(os.getpid()), str(own_ticks()), str(deadline), *arguments]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    ticks = start_ticks(child.pid)
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        ready, _, _ = select.select([child.stdout], [], [], _READY_S)
        said = child.stdout.readline() if ready else b""
        if said.strip() != b"ready" or ticks is None:
            child.kill()
            last = child.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise UnavailableError(f"the helper process could not begin: {last[-1] if last else 'it said nothing'}.")
    finally:
        child.stdout.close()
        child.stderr.close()
        if child.poll() is None:
            _reap_later(child)
    return process.Found(child.pid, ticks)


def extend(deadline: Path, lease_s: float, *, create: bool = False) -> None:
    """Move a child's deadline to ``lease_s`` seconds from now. Does nothing if the file is gone, unless ``create``."""
    if create:
        deadline.touch(mode=0o600)
    end = boottime() + lease_s
    try:
        os.utime(deadline, (end, end))
    except FileNotFoundError:
        return


def end(pid: int, ticks: int, deadline: Path, *, grace_s: float = 3.0) -> None:
    """End a child: take its lease away, then SIGTERM, then SIGKILL. Idempotent; safe when its pid is another's now."""
    deadline.unlink(missing_ok=True)
    process.send(pid, ticks, Signals.SIGTERM)
    if not process.wait_gone(pid, ticks, grace_s):
        process.send(pid, ticks, Signals.SIGKILL)
        process.wait_gone(pid, ticks, grace_s)


def lease(arguments: Sequence[str]) -> tuple[Lease, list[str]]:
    """For a child's ``main``: its lease and its own arguments, from ``sys.argv[1:]``."""
    holder, ticks, deadline, *rest = arguments
    return Lease(int(holder), int(ticks), Path(deadline)), rest


def ready() -> None:
    """For a child: the fault is there."""
    print("ready", flush=True)  # noqa: T201 - the word its holder waits for


def _gone(pid: int, ticks: int, timeout_s: float) -> bool:
    return process.wait_gone(pid, ticks, timeout_s)


def _reap_later(child: subprocess.Popen[bytes]) -> None:
    """Collect the child's exit when it comes, so that no zombie stays, without holding up the caller."""
    import threading

    threading.Thread(target=child.wait, daemon=True).start()
