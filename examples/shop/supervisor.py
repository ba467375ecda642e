"""Keeps processes running: starts them, restarts those that are to be restarted, and ends them all."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeper import MARK

RESTART_DELAY_S = 1.2
START_GRACE_S = 10.0
"""A process just started may be unwell for so long before its ``unhealthy_s`` begins."""
STOP_GRACE_S = 5.0
PR_SET_PDEATHSIG = 1


@dataclass
class Task:
    """One process to keep running."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    health: str | None = None
    """Address that answers 200 when it is well; ``None``: nobody asks."""
    restart: bool = True
    unhealthy_s: float | None = None
    """Ended, and so started again, when it has not been well for so long."""
    stop_signal: int = signal.SIGTERM
    uid: int | None = None
    gid: int | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    restart_at: float | None = None
    well_at: float = 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs tasks whose output goes to ``<run>/logs``. ``changed`` is called after each restart.

    Use it from one thread only, the main one: the kernel ends a child when the *thread* that started it ends.
    """

    def __init__(self, run: Path, changed: Callable[[], None] = lambda: None) -> None:
        self.tasks: dict[str, Task] = {}
        self._run = run
        self._changed = changed
        self._libc = ctypes.CDLL(None)

    def start(self, task: Task) -> None:
        """Start a task, for the first time or again."""
        self.tasks[task.name] = task
        task.restart_at = None
        task.well_at = time.monotonic() + START_GRACE_S
        with (self._run / "logs" / f"{task.name}.log").open("ab") as log:
            task.process = subprocess.Popen(
                task.argv,
                env={**task.environment, MARK: str(self._run)},
                cwd=self._run if task.uid is None else "/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=task.uid,
                group=task.gid,
                extra_groups=None if task.uid is None else (),
                start_new_session=True,  # a Ctrl-C in the terminal is for the starter, which ends its children in order
                preexec_fn=lambda: self._libc.prctl(PR_SET_PDEATHSIG, task.stop_signal),
            )

    def keep(self, until: Callable[[], bool]) -> str | None:
        """Restart what ends, until told to stop (``None``) or a task ends that is not restarted (its name)."""
        watcher = threading.Thread(target=self._watch_health, args=(until,), daemon=True)
        watcher.start()
        while not until():
            for task in self.tasks.values():
                if task.running:
                    continue
                if not task.restart:
                    return task.name
                if task.restart_at is None:
                    task.restart_at = time.monotonic() + RESTART_DELAY_S
                elif time.monotonic() >= task.restart_at:
                    self.start(task)
                    self._changed()
            time.sleep(0.05)
        return None

    def stop(self) -> None:
        """End everything in reverse order of starting, with force where asking does not help."""
        for task in reversed(self.tasks.values()):
            if task.process is not None and task.running:
                task.process.send_signal(task.stop_signal)
                task.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + STOP_GRACE_S
        for task in self.tasks.values():
            if task.process is not None:
                try:
                    task.process.wait(max(0.01, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    task.process.kill()
                    task.process.wait()

    def _watch_health(self, until: Callable[[], bool]) -> None:
        while not until():
            for task in self.tasks.values():
                if task.unhealthy_s is not None and task.running:
                    self._judge(task, task.unhealthy_s)
            time.sleep(0.3)

    def _judge(self, task: Task, unhealthy_s: float) -> None:
        process = task.process
        if is_well(task):
            task.well_at = time.monotonic()
        elif time.monotonic() - task.well_at > unhealthy_s:
            task.well_at = time.monotonic()
            if process is not None and process is task.process:
                process.send_signal(task.stop_signal)


def is_well(task: Task) -> bool:
    """Whether a task's health address answers 200 within a second."""
    if task.health is None:
        return task.running
    try:
        with urllib.request.urlopen(task.health, timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
