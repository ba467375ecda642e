"""What the watchdog costs, and how fast it is: ``python -m bench.watchdog [--repeat 10] [--watch 20]`` prints a table.

Targets (issue 3): under 45 MB resident, ready in under 0.4 s, next to no processor time. Measured as a run sees it: a
journal with one fault whose lease is renewed at a quarter of its length. ``bare`` is an interpreter that does nothing,
started beside it, for the machine's own pace.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from executor.clock import start_ticks
from executor.kernel import process
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.guardian import Guardian
from tests.executor import injections
from tests.executor.kit import shelves, until

LEASE_S = 5.0


@dataclass
class Rep:
    """One watchdog's life."""

    ready_s: float = 0.0
    bare_s: float = 0.0
    resident_mb: float = 0.0
    idle_percent: float = 0.0
    renewed_percent: float = 0.0
    late_s: float = 0.0
    """From the end of a lease that nobody renews until the process goes on."""


@dataclass
class Figures:
    reps: list[Rep] = field(default_factory=list)

    def row(self, title: str, unit: str, of: Callable[[Rep], float]) -> str:
        values = [of(rep) for rep in self.reps]
        return f"{title:<48} {statistics.median(values):>9.3f} {max(values):>9.3f} {unit}"


def cpu_s(pid: int) -> float:
    """From the scheduler, in nanoseconds; ticks would show nothing at this pace."""
    return (
        sum(
            int((task / "schedstat").read_text(encoding="ascii").split()[0])
            for task in Path(f"/proc/{pid}/task").iterdir()
        )
        / 1e9
    )


def share(pid: int, seconds: float, meanwhile: Callable[[], object], every_s: float) -> float:
    before, begun = cpu_s(pid), time.monotonic()
    while time.monotonic() < begun + seconds:
        meanwhile()
        time.sleep(every_s)
    return 100 * (cpu_s(pid) - before) / (time.monotonic() - begun)


def arm(journal: Journal, found: process.Found) -> Injection:
    record = {"members": [[found.pid, found.start_ticks]]}
    armed = injections.arm(journal, record=record, lease_s=LEASE_S)
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    journal.injected(armed.id, record)
    return armed


def rep(watch_s: float) -> Rep:
    made = Rep()
    with tempfile.TemporaryDirectory() as directory, shelves("base") as (shelf,):
        home = Home.open(Path(directory) / "home")
        journal = Journal(home.journal)
        injections.admit(journal)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        made.bare_s = time.perf_counter() - begun
        guardian = Guardian(home, "run-1")
        begun = time.perf_counter()
        guardian.start()
        made.ready_s = time.perf_counter() - begun
        pid, found = guardian.pid, shelf.found()
        assert pid is not None
        assert found is not None
        made.idle_percent = share(pid, watch_s / 2, lambda: None, 0.5)
        arm(journal, found)
        made.renewed_percent = share(pid, watch_s / 2, lambda: journal.renew("run-1", LEASE_S), LEASE_S / 4)
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        made.resident_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        journal.renew("run-1", LEASE_S)
        ends = time.monotonic() + LEASE_S
        until(lambda: process.state(found.pid, found.start_ticks) != "T", within_s=30)
        made.late_s = time.monotonic() - ends
        journal.finish("run-1", "completed")
        guardian.leave()
        journal.close()
        assert start_ticks(pid) is None
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.watchdog")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument(
        "--watch", type=float, default=20.0, help="seconds of a life that its processor time is taken of"
    )
    given = parser.parse_args()
    figures = Figures([rep(given.watch) for _ in range(given.repeat)])
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{given.repeat} watchdogs, {os.cpu_count()} cores, load {load}")
    print(f"{'':<48} {'median':>9} {'most':>9}")
    print(figures.row("bare interpreter, started and ended", "s", lambda r: r.bare_s))
    print(figures.row("started until it says that it is ready", "s", lambda r: r.ready_s))
    print(figures.row("resident", "MB", lambda r: r.resident_mb))
    print(figures.row("processor, nothing happens", "% of a core", lambda r: r.idle_percent))
    print(figures.row("processor, a lease is renewed every 1.25 s", "% of a core", lambda r: r.renewed_percent))
    print(figures.row("end of a lease until its fault is gone", "s", lambda r: r.late_s))


if __name__ == "__main__":
    main()
