"""How long it takes from a request to halt until the last of many live local faults is seen gone, by every way.

``python -m bench.halt [--faults 100] [--repeat 30] [--only WORD …]`` prints a table. The target (issue 3): 99 of 100
times under 250 ms with 100 local faults, and under 500 ms and one sampling interval from a guard's violation.

Seconds on a shared machine say little, so each row also gives the median as a multiple of the bare work, which is to
wake that many processes and read each one's state once, measured beside it, and the machine's load.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bench.scene import HERTZ, ROOT, Scene, scene
from executor.clock import own_ticks
from executor.kernel import process
from executor.model.system import System
from executor.safety.halt import halt, resume
from executor.safety.limits import Limits
from executor.selftest.parts import put
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.kit import LIMITS, abort_when, approve, experiment_on, plan_of, until

THERE_S = 120.0
WITHIN_S = 20.0
MURPHY = [sys.executable, "-c", "from planner.cli import murphy; murphy()"]
LEASE_S = 30.0
"""Longer than any wait here, so that what frees the targets is the halt."""
_HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@dataclass
class Rep:
    """One run that is under way with all its faults there."""

    home: Home
    scene: Scene
    nonce: str
    runner: subprocess.Popen[str]
    command: subprocess.Popen[bytes] | None = None
    """``murphy halt``, where that is the way."""


Request = Callable[[Rep], None]


def _flag(rep: Rep) -> None:
    halt(rep.home, "bench")


def _touch(rep: Rep) -> None:
    rep.home.halt_file.touch()


def _command(rep: Rep) -> None:
    environment = {**os.environ, "MURPHY_HOME": str(rep.home.path)}
    rep.command = subprocess.Popen(
        [*MURPHY, "halt"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _signal(number: signal.Signals) -> Request:
    return lambda rep: rep.runner.send_signal(number)


def _stop(rep: Rep) -> None:
    assert rep.runner.stdin is not None
    rep.runner.stdin.write("stop\n")
    rep.runner.stdin.flush()


def _violate(rep: Rep) -> None:
    rep.scene.lamp.out = True


@contextmanager
def _database_held(rep: Rep) -> Iterator[None]:
    """Another process holds the journal's database for itself."""
    command = [sys.executable, "-c", _HOLD, str(rep.home.journal)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def _standing_still(rep: Rep) -> Iterator[None]:
    """The executor's process is stopped."""
    rep.runner.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        rep.runner.send_signal(signal.SIGCONT)


WAYS: dict[str, tuple[str, Request, str]] = {
    "API": ("processes", _flag, ""),
    "API, being made": ("processes", _flag, "making"),
    "API, edges": ("edges", _flag, ""),
    "API, mixed": ("mixed", _flag, ""),
    "murphy halt": ("processes", _command, ""),
    "touch HALTED": ("processes", _touch, ""),
    "SIGINT": ("processes", _signal(signal.SIGINT), ""),
    "SIGTERM": ("processes", _signal(signal.SIGTERM), ""),
    "stop event": ("processes", _stop, ""),
    "guard": ("processes", _violate, ""),
    "guard, edges": ("edges", _violate, ""),
    "API, report blocks": ("processes", _flag, "report"),
    "API, database held": ("processes", _flag, "database"),
    "API, executor stopped": ("processes", _flag, "stopped"),
    "murphy halt, report blocks": ("processes", _command, "report"),
    "murphy halt, database held": ("processes", _command, "database"),
    "murphy halt, executor stopped": ("processes", _command, "stopped"),
}
"""By name: what is struck, how the halt is asked for, and what is stuck meanwhile, or still being written down."""


@dataclass
class Row:
    """What one way has given, in milliseconds."""

    name: str
    freed: list[float] = field(default_factory=list)
    """Request until the last target was seen free."""
    told: list[float] = field(default_factory=list)
    """Request until the last revert on the run's own time line."""
    answered: list[float] = field(default_factory=list)
    """Request until ``murphy halt`` had ended."""
    bare: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line of the table."""
        if not self.freed:
            return f"{self.name:<30} no data: {'; '.join(self.wrong)}"
        times = statistics.median(self.freed) / statistics.median(self.bare)
        told, answered = (f"{centile(v, 99):>9.0f}" if v else f"{'-':>9}" for v in (self.told, self.answered))
        figures = f"{centile(self.freed, 50):>8.0f}{centile(self.freed, 99):>8.0f}{max(self.freed):>8.0f}"
        wrong = f"  WRONG: {'; '.join(sorted(set(self.wrong)))}" if self.wrong else ""
        return f"{self.name:<30}{len(self.freed):>4}{figures}{told}{answered}{times:>8.0f}{wrong}"


HEAD = f"{'way':<30}{'n':>4}{'p50':>8}{'p99':>8}{'max':>8}{'told p99':>9}{'answered':>9}{'x bare':>8}   (ms)"


def centile(values: list[float], percent: float) -> float:
    """The smallest value that so many per cent are not above; with few values the largest."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def bare_ms(pids: list[tuple[int, int]]) -> float:
    """What it costs to wake processes and to read each one's state once."""
    begun = time.perf_counter()
    for pid, ticks in pids:
        process.send(pid, ticks, signal.SIGCONT)
        process.state(pid, ticks)
    return (time.perf_counter() - begun) * 1000


def measure(row: Row, made: Scene, directory: Path, count: int, request: Request, stuck: str) -> None:
    """One run, one halt."""
    home = Home.open(directory / "home")
    nonce = write(made, directory, home, guarded=request is _violate)
    arguments = [str(count)] if stuck == "report" else []
    runner = subprocess.Popen(
        [sys.executable, "-m", "bench.runner", str(directory), str(home.path), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    rep = Rep(home, made, nonce, runner)
    about = {"database": _database_held, "stopped": _standing_still}.get(stuck, lambda _rep: nullcontext())
    try:
        until(
            lambda: runner.poll() is not None or len(made.struck(nonce)) == count, THERE_S, "the faults are not there"
        )
        if runner.poll() is not None:
            row.wrong.append(f"the run had ended before: {runner.communicate()[0].strip()}")
            return
        if stuck != "making":
            written_down(home, count)
        struck = made.struck(nonce)
        with about(rep):
            wall, begun = time.time(), time.monotonic()
            asking = threading.Thread(target=request, args=(rep,))  # halt() returns when the audit trail has it
            asking.start()
            try:
                row.freed.append((made.freed(struck, WITHIN_S) - begun) * 1000)
            except TimeoutError as error:
                row.wrong.append(str(error))
            asking.join()
            if rep.command is not None:
                rep.command.wait(WITHIN_S)
                row.answered.append((time.monotonic() - begun) * 1000)
        conclude(row, rep, wall, count, ended=stuck != "report")
    finally:
        runner.kill()
        runner.communicate()
        made.lamp.out = False
        resume(home)
    row.bare.append(bare_ms([(os.getpid(), own_ticks())] * count))


def written_down(home: Home, count: int) -> None:
    """Wait until the run has written down that all its faults are there."""
    with closing(Journal(home.journal)) as journal:
        until(
            lambda: sum(each.state == "injected" for each in journal.pending()) == count,
            THERE_S,
            "the run does not say that all faults are there",
        )


def conclude(row: Row, rep: Rep, wall: float, count: int, *, ended: bool) -> None:
    """Hear what the run says of itself, and see that its journal owes nothing."""
    if ended:
        said = json.loads(rep.runner.communicate(timeout=WITHIN_S)[0])
        if said.get("owed") or said.get("count") != count:
            row.wrong.append(f"it says {said}")
        elif said["reverted"]:
            row.told.append((said["reverted"] - wall) * 1000)
    else:
        rep.runner.kill()
    journal = Journal(rep.home.journal)
    try:
        until(lambda: not journal.pending(), WITHIN_S, "the journal still owes something")
    finally:
        journal.close()


def write(made: Scene, directory: Path, home: Home, *, guarded: bool) -> str:
    """Write down and approve a plan with all the faults in one experiment; returns the approval's nonce."""
    system = System(name="bench", services=made.services, dependencies=made.dependencies)
    limits = Limits(
        **{**dict(LIMITS), "concurrent_faults_max": 1000, "lease_s": LEASE_S, "fault_s_max": 120},
    )
    condition = abort_when("lamp", below=1.0, of=1) if guarded else "none"
    experiment = experiment_on(system, "lamp", actions=made.actions, abort_conditions=condition)
    plan = plan_of(system, (experiment,))
    approval = approve(home, plan, limits)
    put(directory, plan=plan, approval=approval, system=system, limits=limits)
    return approval.grant.nonce


def table(count: int, repeat: int, chosen: list[str]) -> list[Row]:
    """Measure the chosen ways, and print each row as it is done."""
    print(f"{count} faults, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f} at first")
    print(HEAD, flush=True)
    rows = []
    for name in chosen:
        what, request, stuck = WAYS[name]
        rows.append(Row(name))
        with (
            tempfile.TemporaryDirectory(prefix="murphy-bench-") as directory,
            scene(Path(directory), what, count) as made,
        ):
            try:
                for _ in range(repeat):
                    measure(rows[-1], made, Path(directory), count, request, stuck)
            finally:  # also what there is when somebody has waited long enough
                print(rows[-1].line(), flush=True)
    print(f"load {os.getloadavg()[0]:.2f} at the end; the guard's rows hold a sampling interval of {1000 / HERTZ:g} ms")
    return rows


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # in order, so that nothing of it stays
    parser = argparse.ArgumentParser(prog="bench.halt", description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    given = parser.parse_args()
    table(given.faults, given.repeat, given.only)


if __name__ == "__main__":
    main()
