"""Who holds what was found: a run that goes on, nobody, or one that nobody is seen to look after."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import holding, netem, process
from executor.state.home import Home
from executor.undo.guardian import watchers
from tests.executor.kit import until

ROOT = Path(__file__).parents[3]
EXECUTOR = """
import sys
from pathlib import Path
from executor.undo.guardian import Guardian
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit
home = Home(Path(sys.argv[1]))
admit(Journal(home.journal))
Guardian(home, "run-1").start()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def executor(home: Home) -> Iterator[tuple[int, int]]:
    """A process with a run under way, and a watchdog."""
    running = subprocess.Popen(
        [sys.executable, "-c", EXECUTOR, str(home.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    yield running.pid, start_ticks(running.pid) or 0
    running.kill()
    running.communicate()
    for watcher in watchers(home):
        watcher.end()


def stop(pid: int, ticks: int) -> None:
    process.send(pid, ticks, signal.SIGSTOP)
    until(lambda: process.state(pid, ticks) == "T")


def test_a_lease_that_is_known_decides(executor: tuple[int, int]) -> None:
    assert holding.hold(*executor, 1.0) == "held"
    assert holding.hold(*executor, 0.0) == "nobody"


def test_an_executor_that_stands_still_holds_nothing(executor: tuple[int, int]) -> None:
    assert holding.hold(*executor) == "held"
    stop(*executor)
    assert [holding.hold(*executor, left_s) for left_s in (None, 60.0)] == ["nobody"] * 2
    process.send(*executor, signal.SIGCONT)
    until(lambda: holding.hold(*executor) == "held")
    pid, ticks = executor
    assert holding.hold(pid, ticks + 1) == "nobody", "another process has the pid"


def test_without_a_lease_its_watchdog_must_go_on(executor: tuple[int, int], home: Home) -> None:
    (watcher,) = watchers(home)
    stop(watcher.found.pid, watcher.found.start_ticks)
    assert holding.hold(*executor) == "unwatched"
    assert holding.hold(*executor, 1.0) == "held"
    process.send(watcher.found.pid, watcher.found.start_ticks, signal.SIGCONT)
    until(lambda: holding.hold(*executor) == "held")
    watcher.end()
    assert holding.hold(*executor) == "unwatched"


def test_a_queue_says_who_has_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file beside it alone: whether the kernel has netem is all the same."""
    monkeypatch.setattr(netem, "_SIGNS", tmp_path)
    handle = netem.handle_of("murphy-x-1")
    assert netem.hold(None, handle) is None
    netem.put({"net": None, "handle": handle, "devices": []})
    assert netem.hold(None, handle) == "unwatched"
    assert netem.hold(None, handle, 0.0) == "nobody"
    assert netem.hold(4, handle) is None, "a queue of that handle in another network is another"
