"""The executor's side of the watchdog: start it, make sure that it is well, replace it, see it off, find others'."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from executor.clock import is_elsewhere, own_ticks, start_ticks
from executor.errors import UnavailableError
from executor.kernel import child, holding, process
from executor.state import undo_notes
from executor.state.home import Home
from executor.undo.watchdog import READY

MODULE = holding.WATCHDOG
_START_S = 15.0
_ANSWER_S = 3.0
_END_S = 3.0
_LOG = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe in its place must not hang us, nor the watchdog."""


class Guardian:
    """One run's watchdog process. Its methods block for a moment; call them from a worker thread."""

    def __init__(self, home: Home, run: str) -> None:
        self._home, self._run = home, run
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The watchdog's pid, if one was started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start a watchdog and wait until it says that it is ready. Raises ``UnavailableError`` if it does not."""
        self._see_off()
        try:
            self._process = self._begun()
        except OSError as error:  # no process or descriptor to be had, or its log is no file
            raise UnavailableError(
                f"the watchdog cannot be started, so nothing is injected: {error.strerror}.",
                where=str(error.filename or ""),
                hint="murphy doctor says why.",
            ) from error
        if not self._hear(_START_S):
            self._end()
            raise UnavailableError(
                "the watchdog did not start, so nothing is injected.", hint="murphy doctor says why."
            )

    def _begun(self) -> subprocess.Popen[bytes]:
        with ExitStack() as stack:
            pidfd = os.pidfd_open(os.getpid())
            stack.callback(os.close, pidfd)
            words = os.open(self._home.path / "watchdog.log", _LOG, 0o600)
            stack.callback(os.close, words)
            return subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, *self._arguments(pidfd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
                pass_fds=(pidfd,),
                env=child.environment(),
                bufsize=0,
            )

    def exited(self) -> bool:
        """Whether the watchdog is gone. Does not block."""
        return self._process is None or self._process.poll() is not None

    def ensure(self) -> bool:
        """Make sure that a watchdog answers, replacing one that is dead or hangs; returns whether it was replaced.

        Raises ``UnavailableError`` if there is none to be had; then nothing may be injected.
        """
        if not self.exited() and self._ask():
            return False
        self.start()
        return True

    def leave(self, *, within_s: float = 2.0) -> None:
        """Wait for the watchdog of a run that has ended; one that does not go is ended. Idempotent.

        Call it only when nothing is owed: a watchdog with something to undo needs longer and is to be left alone. That
        is done here where a fault is still noted: a thread that was given up may yet make it.
        """
        if undo_notes.left(self._home, self._run):
            self.abandon()
        else:
            self._see_off(within_s)

    def _see_off(self, within_s: float = 2.0) -> None:
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._end()
        self._close()

    def abandon(self) -> None:
        """Let go of a watchdog that still has something to undo."""
        if self._process is not None:
            threading.Thread(target=self._process.wait, daemon=True).start()  # no zombie stays while we live on
            self._close()

    def _arguments(self, pidfd: int) -> list[str]:
        numbers = {"--pidfd": pidfd, "--pid": os.getpid(), "--ticks": own_ticks()}
        given = {"--home": str(self._home.path), "--run": self._run, **{k: str(v) for k, v in numbers.items()}}
        return [word for pair in given.items() for word in pair]

    def _ask(self) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"?")
        except OSError:
            return False
        return self._hear(_ANSWER_S)

    def _hear(self, within_s: float) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        poll = select.poll()  # select() would refuse a descriptor beyond 1023
        poll.register(self._process.stdout, select.POLLIN)
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                return self._process.stdout.read(len(READY)) == READY
        return False

    def _end(self) -> None:
        if self._process is not None:
            process.end_child(self._process)
            self._process.wait()
            self._close()

    def _close(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None


@dataclass(frozen=True)
class Watcher:
    """A watchdog process of any run and home, as its command line shows it."""

    found: process.Found
    home: Path
    run: str
    executor: int
    executor_ticks: int

    @property
    def orphaned(self) -> bool:
        """Whether the executor that it watches is gone. Of one in another pid or time namespace that is not known."""
        return not is_elsewhere(self.found.pid) and not process.alive(self.executor, self.executor_ticks)

    def end(self) -> bool:
        """End it; whether it has ended. Raises ``PermissionError`` if it is another user's."""
        process.send(self.found.pid, self.found.start_ticks, signal.SIGKILL)
        return process.wait_gone(self.found.pid, self.found.start_ticks, _END_S)


def watchers(home: Home) -> list[Watcher]:
    """The watchdogs of a home, whoever started them."""
    found = filter(None, map(_watcher, process.pids()))
    return [watcher for watcher in found if watcher.home == home.path]


def _watcher(pid: int) -> Watcher | None:
    words = process.command_line(pid)
    if MODULE not in words:
        return None
    told = words[words.index(MODULE) + 1 :]
    given = dict(zip(told[::2], told[1::2], strict=False))
    since = start_ticks(pid)
    if since is None or process.command_line(pid) != words:  # it is gone, and another one may have the pid
        return None
    try:
        executor_of = int(given["--pid"]), int(given["--ticks"])
        return Watcher(process.Found(pid, since), Path(given["--home"]), given["--run"], *executor_of)
    except (KeyError, ValueError):
        return None
