"""How the processes of a run are struck: each function strikes now, by pidfd and start time, and returns at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from executor.clock import start_ticks
from executor.kernel import process
from executor.selftest.scene import Scene
from executor.selftest.snapshot import workers

_ENDS_S = 20.0
_SETTLES_S = 30.0


@dataclass(frozen=True)
class Quarry:
    """A run's executor, and how to find all else that works for it."""

    pid: int
    ticks: int
    home: Path
    scene: Scene
    gap_s: float
    """Pause between two blows, seconds."""

    def executor(self, number: signal.Signals) -> None:
        """Signal the executor."""
        process.send(self.pid, self.ticks, number)

    def watchdogs(self) -> list[process.Found]:
        """The watchdogs of the home: one, or two for a moment while one replaces another."""
        found = [(pid, start_ticks(pid)) for module, pid in workers(self.home) if module == "executor.undo.watchdog"]
        return [process.Found(pid, ticks) for pid, ticks in found if ticks is not None]

    def watchdog(self, number: signal.Signals) -> None:
        """Signal every watchdog, and if that is to end it, see it end."""
        struck = self.watchdogs()
        for one in struck:
            process.send(one.pid, one.start_ticks, number)
        if number is signal.SIGKILL:
            for one in struck:
                process.wait_gone(one.pid, one.start_ticks, _ENDS_S)

    def at_work(self) -> list[process.Found]:
        """The watchdogs that do not stand still."""
        return [one for one in self.watchdogs() if process.state(one.pid, one.start_ticks) not in ("T", None)]

    def stopped_watchdog(self, within_s: float) -> bool:
        """Wait until a watchdog has stopped itself; ``False`` if none does, or none is left."""
        deadline = time.monotonic() + within_s
        while (found := self.watchdogs()) and time.monotonic() < deadline:
            if any(process.state(one.pid, one.start_ticks) == "T" for one in found):
                return True
            time.sleep(0.02)
        return False


def _power_cut(quarry: Quarry) -> None:
    """Executor, watchdog and every helper at one stroke: all are stopped first, so that none sees another go."""
    struck: dict[int, int] = {quarry.pid: quarry.ticks}
    while more := {pid: ticks for pid, ticks in _everyone(quarry, struck) if pid not in struck}:
        struck |= more
        for pid, ticks in struck.items():
            process.send(pid, ticks, signal.SIGSTOP)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid, ticks in struck.items():
            process.send(pid, ticks, number)
    for pid, ticks in struck.items():
        process.wait_gone(pid, ticks, _ENDS_S)


def _everyone(quarry: Quarry, known: Iterable[int]) -> list[tuple[int, int]]:
    """Whatever works for the home, and the children of all those; the scene's own services aside."""
    ours = {pid for _, pid in workers(quarry.home)} | set(known)
    scene = {one.pid for each in quarry.scene.processes().values() for one in each}
    family = ours | {pid for pid in process.pids() if process.parent(pid) in ours}
    pairs = ((pid, start_ticks(pid)) for pid in family - scene)
    return [(pid, ticks) for pid, ticks in pairs if ticks is not None]


def _executor_first(quarry: Quarry) -> None:
    quarry.executor(signal.SIGKILL)
    time.sleep(quarry.gap_s)
    quarry.watchdog(signal.SIGKILL)


def _watchdog_first(quarry: Quarry) -> None:
    quarry.watchdog(signal.SIGKILL)
    time.sleep(quarry.gap_s)
    quarry.executor(signal.SIGKILL)


def _hang_then_watchdog(quarry: Quarry) -> None:
    quarry.executor(signal.SIGSTOP)
    quarry.watchdog(signal.SIGKILL)


def _watchdog_hang_then_kill(quarry: Quarry) -> None:
    quarry.watchdog(signal.SIGSTOP)
    quarry.executor(signal.SIGKILL)


def _watchdog_at_its_work(quarry: Quarry) -> bool:
    stood = _hang_watchdog_at_its_work(quarry)
    quarry.watchdog(signal.SIGKILL)
    return stood


def _hang_watchdog_at_its_work(quarry: Quarry) -> bool:
    quarry.executor(signal.SIGKILL)
    return quarry.stopped_watchdog(_SETTLES_S)


def _hang_both(quarry: Quarry) -> None:
    quarry.executor(signal.SIGSTOP)
    quarry.watchdog(signal.SIGSTOP)


@dataclass(frozen=True)
class Strike:
    """One way to strike, and what it leaves standing."""

    strike: Callable[[Quarry], object]
    """Returns ``False`` if the moment never came."""
    hangs: bool = False
    """The executor stands still then, and goes on later."""
    watchdog: bool = True
    """A watchdog is there to undo everything."""
    heeds: bool = True
    """The executor ends in order on a signal that it can take, as ``murphy run`` does."""


STRIKES: dict[str, Strike] = {
    "kill": Strike(lambda q: q.executor(signal.SIGKILL)),
    "terminate": Strike(lambda q: q.executor(signal.SIGTERM)),
    "terminate, unheeded": Strike(lambda q: q.executor(signal.SIGTERM), heeds=False),
    "interrupt": Strike(lambda q: q.executor(signal.SIGINT)),
    "interrupt, unheeded": Strike(lambda q: q.executor(signal.SIGINT), heeds=False),
    "hang": Strike(lambda q: q.executor(signal.SIGSTOP), hangs=True),
    "kill the watchdog": Strike(lambda q: q.watchdog(signal.SIGKILL)),
    "hang the watchdog": Strike(lambda q: q.watchdog(signal.SIGSTOP)),
    "kill, then the watchdog": Strike(_executor_first, watchdog=False),
    "kill the watchdog, then it": Strike(_watchdog_first, watchdog=False),
    "hang, and kill the watchdog": Strike(_hang_then_watchdog, hangs=True, watchdog=False),
    "hang the watchdog, and kill": Strike(_watchdog_hang_then_kill, watchdog=False),
    "hang both": Strike(_hang_both, hangs=True, watchdog=False),
    "power cut": Strike(_power_cut, watchdog=False),
}
"""By name. Where only the watchdog is struck, the executor replaces it and goes on."""
AT_WORK: dict[str, Strike] = {
    "kill, then the watchdog at it": Strike(_watchdog_at_its_work, watchdog=False),
    "kill, and hang the watchdog at it": Strike(_hang_watchdog_at_its_work, watchdog=False),
}
"""For a watchdog that stands still at a boundary of its own while it undoes."""
