"""One lane of a self-test: a scene, and one case after another on it. ``python -m executor.selftest.lane DIRECTORY``.

It reads cases from standard input, one JSON object a line, and answers each with one line.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executor import audit
from executor.clock import start_ticks
from executor.drivers import child, process
from executor.engine import run_id
from executor.errors import MurphyError
from executor.home import Home
from executor.journal import Injection, Journal
from executor.selftest import script, victim
from executor.selftest.cases import Case
from executor.selftest.moments import Boundary
from executor.selftest.scene import Scene, until
from executor.selftest.snapshot import Snapshot, take, workers
from executor.selftest.strikes import STRIKES, Quarry, Strike

_RUN_S = 90.0
"""An executor that has not ended by then hangs."""
_SETTLE_S = 60.0
_LOOK_S = 0.15
"""A look at the whole host takes a while itself."""
_LEASE_S = 20.0
"""How long a fault may be seen after its lease of one second on a busy machine."""


@dataclass
class Result:
    """How one case came out."""

    case: Case
    residues: list[str] = field(default_factory=list)
    """What stayed that should not have, or was not told; empty if all is as it was."""
    alive: dict[str, int] = field(default_factory=dict)
    """Faults that were there, or under way, when it was struck: how many of each lease kind."""
    recovered: bool = False
    """The next start had something left to do."""
    missed: bool = False
    """The run was over before the moment came."""
    events_s: list[float] = field(default_factory=list)
    """When the run's events came, seconds after the executor began."""
    seconds: float = 0.0
    place: str = ""


class Ordeal:
    """One case, from a fresh home to the last look."""

    def __init__(self, scene: Scene, directory: Path, case: Case) -> None:
        self.scene, self.directory, self.case = scene, directory, case
        self.strike = STRIKES.get(case.strike, Strike(lambda _quarry: None))
        self.result = Result(case, place=str(directory))
        self.home = Home.open(directory / "home")
        self.system = scene.system()
        self.plan = script.plan_for(scene, self.system)
        self.kinds = script.lease_kinds(self.plan, self.system)
        approval = script.approve(self.home, self.plan)
        victim.prepare(directory, plan=self.plan, approval=approval, system=self.system, limits=script.LIMITS)
        self.run_name = run_id(approval)
        self.status: int | None = None
        self.stopped = False

    def run(self) -> Result:
        """Do it. Whatever goes wrong with it is a residue too."""
        begun = time.monotonic()
        before = self._look()
        self.begun = time.monotonic()
        self.events, telling = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            boundary = Boundary.parse(self.case.boundary) if self.case.boundary else None
            victim.become(self.directory, self.home.path, heeds=self.strike.heeds, boundary=boundary, events=telling)
        os.close(telling)
        self.quarry = Quarry(self.pid, start_ticks(self.pid) or 0, self.home.path, self.scene, self.case.gap_s)
        try:
            self._strike()
            self._settle(before)
            self._check(before)
        except (MurphyError, OSError, subprocess.SubprocessError) as error:
            self._residue(f"the case itself failed: {type(error).__name__}: {error}")
        finally:
            self._end_all()
        self.result.seconds = time.monotonic() - begun
        return self.result

    def _strike(self) -> None:
        if not self.case.strike:
            most: dict[str, int] = {}
            while not self._ended():
                most = max(most, self._alive(), key=lambda alive: sum(alive.values()))
                time.sleep(0.05)
            self.result.alive = most
            return
        if self.case.boundary:
            until(lambda: self.stopped or self._ended(), _RUN_S)
        else:
            until(lambda: self._ended() or len(self.result.events_s) >= self.case.event, _RUN_S)
            until(self._ended, self.case.at_s, every_s=0.001)
        if self._ended():
            self.result.missed = True
            return
        self.result.alive = self._alive()
        self.strike.strike(self.quarry)
        if not self.strike.hangs:
            self.quarry.executor(signal.SIGCONT)

    def _settle(self, before: Snapshot) -> None:
        """Wait for what has to end by itself, and let what hangs go on."""
        if self.strike.hangs and not self.result.missed:
            if self.strike.watchdog:
                self._gone("while the executor hangs", lambda: self._look().faults(before))
            else:
                self._gone("after the lease, while the executor hangs", lambda: self._look().held(before))
                self._recover()
                self._gone("while the executor hangs, after recovering", lambda: self._look().faults(before))
            self.quarry.executor(signal.SIGCONT)
            self.quarry.watchdog(signal.SIGCONT)
        if not until(self._ended, _RUN_S):
            self._residue("the executor does not end")
            self.quarry.executor(signal.SIGKILL)
            until(self._ended, _SETTLE_S)
        self._reported()
        if self.strike.watchdog and not until(lambda: not self.quarry.watchdogs(), _SETTLE_S, every_s=_LOOK_S):
            self._residue("the watchdog does not end")
        self._gone("after the lease, with nobody acting", lambda: self._look().held(before))

    def _check(self, before: Snapshot) -> None:
        """All must be as before now; if the watchdog was struck too, then after the next start."""
        left = self._look().differs(before) + self._open()
        if left and self.strike.watchdog:
            self._residue(f"left to the next start although the watchdog lived: {'; '.join(left)}")
        if left:
            self._recover()
            self.quarry.watchdog(signal.SIGCONT)
            until(lambda: not self.quarry.watchdogs(), _SETTLE_S, every_s=_LOOK_S)
        self._gone("in the end", lambda: self._look().differs(before))
        for word in self._open():
            self._residue(f"in the end: {word}")
        trail = audit.verify(self.home)
        if not trail.intact:
            self._residue(f"audit trail: {trail.faults[0]}")
        if not self.case.strike:
            self._undisturbed()

    def _undisturbed(self) -> None:
        said = victim.said(self.directory)
        if said.get("outcome") != "completed":
            self._residue(f"undisturbed, it ended otherwise: {said}")
        if missing := set(self.kinds.values()) - set(self.result.alive):
            self._residue(f"undisturbed, no fault of these lease kinds was alive at once: {', '.join(missing)}")

    def _reported(self) -> None:
        """An executor that ended by itself and left a revert owed must have said so."""
        said, owed = victim.said(self.directory), [i for i in self._pending() if i.state == "owed"]
        if self.status is None or os.WIFSIGNALED(self.status) or not owed:
            return
        if not said.get("owed") and os.WEXITSTATUS(self.status) in (0, None):
            self._residue(f"owed and not reported: {owed[0]}")

    def _recover(self) -> None:
        """The next start, in a process of its own; everything it found open must be among what it names."""
        open_before = self._pending()
        command = [sys.executable, "-P", "-m", "executor.selftest.again", str(self.home.path)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=child.environment(), timeout=_RUN_S, check=False
        )
        self.result.recovered = True
        if done.returncode:
            self._residue(f"recovering ended with {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}")
            return
        named = json.loads(done.stdout)
        for injection in open_before:
            if injection.lapsed and not any(str(injection) in line for line in named["undone"] + named["owed"]):
                self._residue(f"recovering did not name {injection}")

    def _gone(self, when: str, left: Any) -> None:
        """Wait until nothing is left; what still is, is a residue."""
        if not until(lambda: not left(), _LEASE_S, every_s=_LOOK_S):
            self._residue(f"{when}: {'; '.join(left())}")

    def _residue(self, what: str) -> None:
        self.result.residues.append(what)

    def _look(self) -> Snapshot:
        return take(self.scene, self.home.path, self.run_name, beside=getattr(self, "pid", None))

    def _pending(self) -> list[Injection]:
        if not self.home.journal.exists():
            return []
        journal = Journal(self.home.journal)
        try:
            return journal.pending()
        finally:
            journal.close()

    def _open(self) -> list[str]:
        """What the journal holds as not over, in words."""
        journal = Journal(self.home.journal)
        try:
            return [f"pending: {each} ({each.state})" for each in journal.pending()] + [
                f"running: {row.run}" for row in journal.running()
            ]
        finally:
            journal.close()

    def _alive(self) -> dict[str, int]:
        kinds = [self.kinds[injection.action] for injection in self._pending()]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def _ended(self) -> bool:
        """Whether the executor has ended; notices too that it has stopped itself."""
        self._hear()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid:
                self.status = status
        return self.status is not None

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            self.result.events_s += [time.monotonic() - self.begun] * len(os.read(self.events, 4096))

    def _end_all(self) -> None:
        """Nothing of the case may disturb the next one."""
        self.quarry.executor(signal.SIGKILL)
        until(self._ended, _SETTLE_S)
        os.close(self.events)
        for _, pid in workers(self.home.path):
            ticks = start_ticks(pid)
            if ticks is not None:
                process.send(pid, ticks, signal.SIGKILL)


def main() -> None:
    """Serve cases until standard input ends."""
    directory = Path(sys.argv[1])
    scene = Scene(directory)
    try:
        for line in sys.stdin:
            case = Case(**json.loads(line))
            place = directory / "cases" / str(case.number)
            place.mkdir(parents=True)
            result = Ordeal(scene, place, case).run()
            if not result.residues:
                shutil.rmtree(place)
            answer = {**vars(result), "case": case.plain()}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            if result.residues:  # what is left would be seen by the next case
                scene.close()
                scene = Scene(directory)
    finally:
        scene.close()


if __name__ == "__main__":
    main()
