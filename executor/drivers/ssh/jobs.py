"""What a keeper does on another machine: strike, go on striking, and put right again. Standard library only.

Sent over by ``executor.drivers.ssh.driver``. A job is made on that machine, and lives in its keeper's memory.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from executor.clock import boottime, start_ticks
from executor.drivers import ending, launch, restart
from executor.errors import UnavailableError
from executor.kernel import process

Members = list[list[int]]
_UNDER_WAY_S: Final = 30.0
"""A process that began so lately with the very command line is coming up, whoever started it."""
_LOOKS_S: Final = 0.05
"""How often one that is not back yet is looked for."""
Ending = Literal["KILL", "ABRT", "SEGV", "stop"]
"""By a signal, or asked first."""


class Job(Protocol):
    """A fault on processes of this machine. One that is given up half done can be put right by another, too."""

    def strike(self) -> None:
        """Make it. Raises ``UnavailableError``."""

    def turn(self) -> float:
        """Go on with it; returns in how many seconds to be asked again. One that is asked early does nothing."""

    def mend(self) -> None:
        """Put it right. Idempotent. Raises ``UnavailableError`` if that has not come true."""


class Still:
    """Processes that stand still."""

    def __init__(self, members: Members, where: str) -> None:
        self.members, self.where = members, where

    def strike(self) -> None:
        """Stop them."""
        process.hold(self.members, where=self.where)

    def turn(self) -> float:
        """They stay as they are."""
        return math.inf

    def mend(self) -> None:
        """Let them go on, workers first."""
        process.send_all(reversed(self.members), signal.SIGCONT)


class Slow(Still):
    """Processes that stand still and go on by turns, seconds each."""

    def __init__(self, members: Members, where: str, still_s: float, run_s: float) -> None:
        super().__init__(members, where)
        self.waits_s = {signal.SIGSTOP: still_s, signal.SIGCONT: run_s}
        self.last, self.due = signal.SIGSTOP, 0.0

    def strike(self) -> None:
        """Stop them for the first time."""
        super().strike()
        self.due = time.monotonic() + self.waits_s[self.last]

    def turn(self) -> float:
        """Stop them, or let them go on, when it is time; those that are gone nobody asks for any more."""
        if (left := self.due - time.monotonic()) > 0:
            return left
        self.last = signal.SIGCONT if self.last == signal.SIGSTOP else signal.SIGSTOP
        wait_s = self.waits_s[self.last] if process.send_all(self.members, self.last) else math.inf
        self.due = time.monotonic() + wait_s
        return wait_s


class Ended:
    """A process that is ended, and started again as it ran where nobody else does that in time."""

    def __init__(
        self, kept: Mapping[str, Any], environment: bytes, arguments: bytes, how: Ending | None = None
    ) -> None:
        """``kept`` as ``restart.image`` made it, with ``grace_s``; ``environment`` and ``arguments`` too.

        Without ``how`` it is there to be put right only.
        """
        self.kept, self.environment, self.arguments, self.how = kept, environment, arguments, how
        self._started: list[int] = []

    def strike(self) -> None:
        """End it, and see it end."""
        members, where = self.kept["members"], self.kept["instance"]
        if self.how == "stop":
            ending.stop(members, self.kept["grace_s"], where=where)
        elif self.how:
            ending.kill(members, self.how, where=where)

    def turn(self) -> float:
        """It stays down, unless its supervisor starts it."""
        return math.inf

    def mend(self) -> None:
        """One that was asked to end comes to its end first; then see that it runs again."""
        if self.how == "stop" and process.alive(*self.kept["members"][0]):
            ending.finish(self.kept["members"], self.kept["grace_s"])
        restart.see_back(self.kept, coming=self._coming, start=self._start)

    def _start(self) -> None:
        if not self.arguments:
            raise UnavailableError("how it was started is lost.", where=self.kept["instance"], hint="Start it by hand.")
        pid, problem = launch.begin(self.kept["how"], self.environment, self.arguments)
        if problem:
            raise UnavailableError(f"cannot be started again: {problem}.", where=self.kept["instance"])
        self._started = [pid, start_ticks(pid) or 0]

    def _coming(self) -> bool:
        """Whether one that was started lives: by us, or lately by whomever; a keeper that was killed cannot say."""
        if self._started:
            return process.alive(*self._started)
        return any(self._is_like(pid) for pid in process.pids())

    def _is_like(self, pid: int) -> bool:
        ticks = start_ticks(pid)
        if not self.arguments or ticks is None or pid == self.kept["members"][0][0]:
            return False
        with suppress(OSError):
            since_s = boottime() - ticks / os.sysconf("SC_CLK_TCK")
            line = Path(f"/proc/{pid}/cmdline").read_bytes().removesuffix(b"\0")
            return since_s < _UNDER_WAY_S and line == self.arguments.removesuffix(b"\0")
        return False


class Looping(Ended):
    """A process that is killed again each time that it is back, a few times."""

    def __init__(
        self, kept: Mapping[str, Any], environment: bytes, arguments: bytes, *, every_s: float, times: int
    ) -> None:
        super().__init__(kept, environment, arguments, "KILL")
        self.every_s, self.left, self.due = every_s, times, 0.0

    def strike(self) -> None:
        """Kill it for the first time."""
        super().strike()
        self._killed()

    def turn(self) -> float:
        """Kill whatever has taken its place, once it is time; what is not back yet is waited for."""
        if not self.left:
            return math.inf
        if (left := self.due - time.monotonic()) > 0:
            return left
        found = [(pid, start_ticks(pid)) for pid in restart.heads(self.kept)]
        if not any([ticks is not None and process.send(pid, ticks, signal.SIGKILL) for pid, ticks in found]):  # noqa: C419 - all of them
            return _LOOKS_S
        self._killed()
        return self.every_s

    def _killed(self) -> None:
        self.left -= 1
        self.due = time.monotonic() + self.every_s
