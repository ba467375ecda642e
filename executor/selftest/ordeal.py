"""One case of a self-test: a run is begun and struck, and then everything must be as it was, and told as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from executor.clock import start_ticks
from executor.errors import MurphyError
from executor.kernel import child, process
from executor.run.engine import run_id
from executor.selftest import books, hooks, script, victim
from executor.selftest.cases import EXECUTOR, NEXT_START, Case
from executor.selftest.moments import Boundary
from executor.selftest.parts import put
from executor.selftest.result import Result
from executor.selftest.scene import Scene, until
from executor.selftest.snapshot import Snapshot, glance, take, workers
from executor.selftest.strikes import AT_WORK, STRIKES, Quarry, Strike
from executor.selftest.troubles import TROUBLES
from executor.state import audit
from executor.state.home import Home
from executor.undo.recover import recover

_RUN_S = 90.0
"""An executor that has not ended by then hangs."""
_SETTLE_S = 60.0
_LOOK_S = 0.25
"""A look at the whole host takes a while itself."""
_LEASE_S = 30.0
"""How long a fault may be seen after its lease of one second on a busy machine."""
_NOTHING = Strike(lambda _quarry: None)


class Ordeal:
    """One case, from a fresh home to the last look."""

    def __init__(self, scene: Scene, place: Path, case: Case) -> None:
        self.scene, self.place, self.case = scene, place, case
        self.strike = {"": _NOTHING, **STRIKES, **AT_WORK}[case.strike]
        self.trouble = TROUBLES[case.trouble](scene, place)
        self.result = Result(case, place=str(place))
        self.status: int | None = None
        self.stopped = False
        self.events: list[str] = []
        self.pid: int | None = None

    def run(self) -> Result:
        """Do it. Whatever goes wrong with it is a residue too."""
        begun = time.monotonic()
        self.trouble.prepare()
        try:
            self._begin()
            before = self._look()
            self._fork()
            try:
                self._strike()
                self._settle(before)
                self._check(before)
            finally:
                self._end_all()
        except (MurphyError, OSError, subprocess.SubprocessError) as error:
            self._residue(f"the case itself failed: {type(error).__name__}: {error}")
        finally:
            self.trouble.close()
        self.result.seconds = time.monotonic() - begun
        return self.result

    def _begin(self) -> None:
        self.home = Home.open(self.trouble.disk / "home")
        self.system = self.scene.system()
        self.plan = script.plan_for(self.scene, self.system)
        self.kinds = script.lease_kinds(self.plan, self.system)
        limits = script.LIMITS if self.case.strike else script.PATIENT
        approval = script.approve(self.home, self.plan, limits)
        put(self.place, plan=self.plan, approval=approval, system=self.system, limits=limits)
        self.run_name = run_id(approval)

    def _fork(self) -> None:
        boundary = Boundary.parse(self.case.boundary) if self.case.boundary else None
        own = boundary if self.case.whose == EXECUTOR else None
        told = self.trouble.environment()
        if boundary and not own:
            told |= hooks.environment(self.place / "hooks", module=self.case.whose, boundary=boundary)
        self._heard, telling = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._begun = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            victim.become(self.place, self.home.path, victim.Orders(self.strike.heeds, own, told), telling)
        os.close(telling)
        ticks = start_ticks(self.pid)
        self.quarry = Quarry(self.pid, ticks or 0, self.home.path, self.scene, self.case.gap_s)

    def _strike(self) -> None:
        own = self.case.boundary and self.case.whose == EXECUTOR
        if not self.case.strike and not self.case.trouble:
            self._watch()
            return
        if not own or self.trouble.early:
            self._await_instant()
        if own:
            if self.trouble.early:
                self.trouble.befall()
            until(lambda: self.stopped or self._ended(), _RUN_S)
        if self._ended():
            self.result.missed = True
            return
        self.result.alive = self._alive()
        self.trouble.befall()
        if self.case.trouble and self.case.strike:
            time.sleep(self.case.gap_s)
        self.result.missed = self.strike.strike(self.quarry) is False
        if not self.strike.hangs:
            self.quarry.executor(signal.SIGCONT)

    def _await_instant(self) -> None:
        def ready() -> bool:
            return self._on_proxy() if self.trouble.early else len(self.events) >= self.case.event

        until(lambda: self._ended() or ready(), _RUN_S)
        until(self._ended, self.case.at_s, every_s=0.001)

    def _on_proxy(self) -> bool:
        return any(each.action == "front" and each.state == "injected" for each in books.pending(self.home))

    def _watch(self) -> None:
        """Nothing befalls it: see how many faults are there at once, and that it completes."""
        while not self._ended():
            self.result.alive = max(self.result.alive, self._alive(), key=lambda alive: sum(alive.values()))
            time.sleep(0.05)
        if victim.said(self.place).get("outcome") != "completed":
            self._residue(f"undisturbed, it ended otherwise: {victim.said(self.place)}")
        if missing := set(self.kinds.values()) - set(self.result.alive):
            self._residue(f"undisturbed, no fault of these lease kinds was alive at once: {', '.join(missing)}")

    def _settle(self, before: Snapshot) -> None:
        """Wait for what has to end by itself, and let what hangs go on."""
        if self.strike.hangs and not self.result.missed:
            self._while_it_hangs(before)
            self.quarry.executor(signal.SIGCONT)
            self.quarry.watchdog(signal.SIGCONT)
        if self.case.trouble.startswith("disk") and self.strike.watchdog:
            self._gone(f"with the {self.case.trouble}", lambda: self._glance().faults(before))
        if not until(self._ended, _RUN_S):
            self._residue("the executor does not end")
            self.quarry.executor(signal.SIGKILL)
            until(self._ended, _SETTLE_S)
        self._reported()
        if not self.trouble.heals_open_files:
            self.quarry.watchdog(signal.SIGKILL)
        self.trouble.mend()
        if not until(lambda: not self.quarry.at_work(), _SETTLE_S, every_s=_LOOK_S):
            self._residue("the watchdog does not end")
        self._gone("after the lease, with nobody acting", lambda: self._glance().held(before))

    def _while_it_hangs(self, before: Snapshot) -> None:
        if self.strike.watchdog:
            if self.case.trouble != "proxy hangs":
                self._gone("while the executor hangs", lambda: self._glance().faults(before))
            return
        if self.case.trouble == "proxy hangs":
            self.trouble.mend()
        self._gone("after the lease, while the executor hangs", lambda: self._glance().held(before))
        if not self.case.trouble.startswith("disk"):
            self._recover(all_told=False)  # the executor may have stopped with the journal locked
            self._gone("while the executor hangs, after recovering", lambda: self._glance().faults(before))

    def _check(self, before: Snapshot) -> None:
        """All must be as before now; if the watchdog was struck too, then after the next start."""
        left = self._look().differs(before) + books.unfinished(self.home)
        if left and self.strike.watchdog and not self.case.trouble.startswith("disk"):
            self._residue(f"left to the next start although the watchdog lived: {'; '.join(left)}")
        if left:
            if self.case.whose == NEXT_START:
                self._recover_half()
            stands_still = bool(self.quarry.watchdogs())  # perhaps with the journal locked
            self._recover(all_told=not stands_still)
            self.quarry.watchdog(signal.SIGCONT)
            until(lambda: not self.quarry.watchdogs(), _SETTLE_S, every_s=_LOOK_S)
            if stands_still and books.unfinished(self.home):
                self._recover()
        self._gone("in the end", lambda: self._look().differs(before))
        for word in books.unfinished(self.home):
            self._residue(f"in the end: {word}")
        trail = audit.verify(self.home)
        if not trail.intact:
            self._residue(f"audit trail: {trail.faults[0]}")
        if self.case.trouble.startswith("clock") and self.case.strike == "":
            self._whole()

    def _whole(self) -> None:
        """A step of the wall clock alone may neither end a lease nor a run; before one, approvals lapse."""
        said = victim.said(self.place)
        lapsed = str(said.get("refused", "")).startswith("refused by approval validity")
        if not self.result.missed and not lapsed and said.get("outcome") != "completed":
            self._residue(f"the {self.case.trouble} ended it: {said}")

    def _reported(self) -> None:
        """An executor that ended by itself and left a revert owed must have said so."""
        owed = [injection for injection in books.pending(self.home) if injection.state == "owed"]
        if owed and self.status is not None and os.WIFEXITED(self.status):
            said = victim.said(self.place)
            if not said.get("owed") and os.WEXITSTATUS(self.status) == 0:
                self._residue(f"owed and not reported: {owed[0]}")

    def _recover(self, *, all_told: bool = True) -> None:
        """The next start, in a process of its own; everything it found open must be among what it names."""
        left = books.pending(self.home)
        done = subprocess.run(
            self._next(), capture_output=True, text=True, env=self._env(), timeout=_RUN_S, check=False
        )
        self.result.recovered = True
        if done.returncode and (all_told or done.returncode != victim.OWED):
            self._residue(f"recovering ended with {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}")
        elif all_told:
            named, by_it = json.loads(done.stdout)["undone"], books.reverted_by(self.home, self.run_name, "recover")
            for injection in left:
                if injection.id in by_it and str(injection) not in named:
                    self._residue(f"recovering did not name {injection}")

    def _recover_half(self) -> None:
        """A next start that is killed at the boundary."""
        boundary = Boundary.parse(self.case.boundary)
        told = hooks.environment(self.place / "hooks", module=NEXT_START, boundary=boundary)
        null = subprocess.DEVNULL
        with subprocess.Popen(self._next(), stdin=null, stdout=null, stderr=null, env=self._env() | told) as half:
            ticks = start_ticks(half.pid) or 0
            until(lambda: half.poll() is not None or process.state(half.pid, ticks) == "T", _RUN_S)
            self.result.missed = half.poll() is not None
            half.kill()

    def _next(self) -> list[str]:
        return [sys.executable, "-P", "-m", NEXT_START, str(self.home.path)]

    def _env(self) -> dict[str, str]:
        return child.environment() | self.trouble.environment()

    def _gone(self, when: str, left: Callable[[], list[str]]) -> None:
        """Wait until nothing is left; what still is, is a residue."""
        if not until(lambda: not left(), _LEASE_S, every_s=_LOOK_S):
            self._residue(f"{when}: {'; '.join(left())}")

    def _residue(self, what: str) -> None:
        self.result.residues.append(what)

    def _look(self) -> Snapshot:
        return take(self.scene, self.home.path, self.run_name, beside=self.pid)

    def _glance(self) -> Snapshot:
        return glance(self.scene, self.home.path, self.run_name)

    def _alive(self) -> dict[str, int]:
        kinds = [self.kinds[injection.action] for injection in books.pending(self.home)]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def _ended(self) -> bool:
        """Whether the executor has ended; hears its events meanwhile, and notices that it has stopped itself."""
        assert self.pid is not None
        with suppress(BlockingIOError):
            told = os.read(self._heard, 65536).decode().split()
            self.events += told
            self.result.events_s += [time.monotonic() - self._begun] * len(told)
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid:
                self.status = status
        return self.status is not None

    def _end_all(self) -> None:
        """Nothing of the case may disturb the next one."""
        self.quarry.executor(signal.SIGKILL)
        until(self._ended, _SETTLE_S)
        os.close(self._heard)
        for _, pid in workers(self.home.path):
            ticks = start_ticks(pid)
            if ticks is not None:
                process.send(pid, ticks, signal.SIGKILL)
                process.wait_gone(pid, ticks, _SETTLE_S)
        if self.result.residues:  # told by now, and it must not stay on the host
            with suppress(MurphyError):
                recover(self.home)
