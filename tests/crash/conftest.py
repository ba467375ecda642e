"""A run in a process of its own, that can be killed and stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.model.faults import Fault
from executor.safety.limits import Limits
from executor.selftest.parts import put
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, system_of, until

ROOT = Path(__file__).parents[2]


class Runner:
    """The process, and what it has said so far."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.runner", str(directory), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    def says(self, word: str) -> str:
        """Wait until it says something that begins so."""
        return str(until(lambda: next((s for s in list(self.said) if s.startswith(word)), None), what=f"no {word}"))

    def ended(self) -> str:
        """Wait for its end; its last word."""
        self.process.wait(60)
        self._reader.join(10)
        return self.said[-1] if self.said else ""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Scene:
    """A service, a home, and an approved plan that strikes the service once."""

    def __init__(self, directory: Path, shelf: Shelf) -> None:
        self.directory, self.shelf = directory, shelf
        self.home = Home.open(directory / "home")
        self.runners: list[Runner] = []

    def plan(self, fault: Fault | None = None, *, duration_s: float = 8.0, limits: Limits = LIMITS) -> str:
        """Write and approve the plan; returns the run's name."""
        system = system_of([self.shelf])
        plan = plan_of(system, (experiment_on(system, self.shelf.name, fault, duration_s=duration_s),))
        approval = approve(self.home, plan, limits)
        put(self.directory, plan=plan, approval=approval, system=system, limits=limits)
        return f"run-{approval.grant.nonce[:12]}"

    def start(self, *arguments: str) -> Runner:
        self.runners.append(Runner(self.directory, *arguments))
        return self.runners[-1]

    def pending(self) -> list[Injection]:
        journal = Journal(self.home.journal)
        try:
            return journal.pending()
        finally:
            journal.close()

    def running(self) -> list[str]:
        journal = Journal(self.home.journal)
        try:
            return [row.run for row in journal.running()]
        finally:
            journal.close()

    def watchdogs(self) -> list[int]:
        """Pids of the watchdogs of this home."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"executor.undo.watchdog" in words and os.fsencode(self.home.path) in words:
                    found.append(int(entry.name))
        return found


@contextmanager
def scenes_at(*directories: Path) -> Iterator[list[Scene]]:
    """A scene in each directory; at the end nothing of them may be left."""
    with shelves(*(f"shelf-{number}" for number in range(len(directories))), chained=False) as running:
        made = [Scene(directory, shelf) for directory, shelf in zip(directories, running, strict=True)]
        try:
            yield made
        finally:
            for scene in made:
                for runner in scene.runners:
                    runner.close()
            for scene in made:
                until(lambda scene=scene: not scene.watchdogs(), within_s=60, what="a watchdog has stayed")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scenes_at(tmp_path) as (made,):
        yield made
