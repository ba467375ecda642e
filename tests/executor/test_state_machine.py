"""Any order of plan, approve, run, crash, hang, recover, halt and resume: the promises hold after every step.

Real engine, journal, watchdogs and processes; the model beside them only says what may be there.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from executor.clock import start_ticks
from executor.kernel import process
from executor.model.base import Contract
from executor.run.engine import run_id
from executor.safety.halt import halt, resume
from executor.safety.settle import settled
from executor.state import audit, undo_notes
from executor.undo.recover import recover
from tests.executor.bed import BED, Bed, Offer, Quick, Run, Server, numbers
from tests.executor.forker import Forker, said
from tests.executor.kit import until
from tests.fuzz.effort import FACTOR, effort

T = TypeVar("T")


class Promises(RuleBasedStateMachine):
    """What may be injected, what is live or left, whether all is halted, which approvals are used."""

    forker: ClassVar[Forker]
    port: ClassVar[int]

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="murphy-test-"))
        self.bed = Bed(self.root, self.port)
        self.offers: list[Offer] = []
        self.runs: list[Run] = []
        self.halted = False
        self.begun: set[str] = set()

    # What people do.

    @rule(
        target_name=st.sampled_from(["one", "two", "one", "two", "guarded"]),
        plan=st.sampled_from(["good", "good", "good", "too long", "drifted"]),
        approval=st.sampled_from(["good", "good", "good", "expired", "other limits", "other key", "other plan"]),
    )
    def offer(self, target_name: str, plan: str, approval: str) -> None:
        made = self.bed.plan(target_name, plan)
        good = target_name != "guarded" and plan == approval == "good"
        self.offers.append(Offer(target_name, made, self.bed.approval(made, approval), good))

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        self._run(_one(data, self.offers))

    @precondition(lambda self: not self.halted and len(self._those("live")) < 2)
    @rule(target_name=st.sampled_from(["one", "two"]))
    def approve_and_run(self, target_name: str) -> None:
        made = self.bed.plan(target_name, "good")
        self.offers.append(Offer(target_name, made, self.bed.approval(made, "good"), good=True))
        self._run(self.offers[-1])

    def _run(self, offer: Offer) -> None:
        place = self.root / f"run-{next(numbers)}"
        parts: dict[str, Contract] = {"plan": offer.plan, "approval": offer.approval}
        before = self.bed.injected()
        pid = self.forker.run(self.bed.home, place, **parts, system=self.bed.system, limits=BED)
        run = Run(run_id(offer.approval), offer.target, pid, start_ticks(pid) or 0, place)
        for left in self._those("left"):  # who begins, or tries to, first recovers what the dead have left
            left.state = "over"
        if self._may_begin(offer):
            until(lambda: run.says("injected") or not run.alive, within_s=90)
            assert run.says("injected"), said(place)
            assert self.bed.state(offer.target) == "T"
            offer.used = True
            self.begun.add(run.name)
            self.runs.append(run)
        else:
            until(lambda: not run.alive, within_s=90)
            assert said(place)[-1].startswith("refused"), said(place)
            assert self.bed.injected() == before

    def _may_begin(self, offer: Offer) -> bool:
        live = self._those("live")
        free = len(live) < BED.concurrent_runs_max and offer.target not in {run.target for run in live}
        there = self.bed.state(offer.target) is not None
        return offer.good and not offer.used and not self.halted and free and there

    @precondition(lambda self: not self.halted and self.runs)
    @rule()
    def halt(self) -> None:
        halt(self.bed.home, "a drill", by="tester")
        self.halted = True
        for run in self._those("live"):
            self._until_over(run)
            assert run.says("outcome halted"), said(run.place)
        if not self._those("left"):
            assert settled(self.bed.home) == []

    @precondition(lambda self: self.halted)
    @rule()
    def resume(self) -> None:
        assert resume(self.bed.home, by="tester")
        self.halted = False

    @precondition(lambda self: self.runs)
    @rule(at_once=st.sampled_from([1, 2, 3]))
    def recover(self, at_once: int) -> None:
        failures: list[str] = []

        def work() -> None:
            failures.extend(done.error for done in recover(self.bed.home) if not done.reverted)

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert not failures
        for run in self._those("left"):
            run.state = "over"
        for run in self._those("live"):
            assert run.alive, said(run.place)
            assert self.bed.state(run.target) in ("T", None)

    # What happens to processes.

    @precondition(lambda self: self._those("live"))
    @rule(data=st.data(), victim=st.sampled_from(["executor", "watchdog", "both"]))
    def kill(self, data: st.DataObject, victim: str) -> None:
        run = _one(data, self._those("live"))
        if victim == "watchdog":
            self.bed.kill_watchdogs(run)
            until(lambda: self.bed.watchdogs(run) or not run.alive, within_s=60)  # it is replaced
            return
        if victim == "both":
            process.send(run.pid, run.ticks, signal.SIGSTOP)  # or it would replace its watchdog
            self.bed.kill_watchdogs(run)
        process.send(run.pid, run.ticks, signal.SIGKILL)
        until(lambda: not run.alive)
        if victim == "both":
            run.state = "left"
        else:
            self._until_over(run)

    @precondition(lambda self: self._those("live"))
    @rule(data=st.data())
    def hang(self, data: st.DataObject) -> None:
        run = _one(data, self._those("live"))
        process.send(run.pid, run.ticks, signal.SIGSTOP)
        until(lambda: self.bed.state(run.target) != "T", within_s=60)
        process.send(run.pid, run.ticks, signal.SIGCONT)
        self._until_over(run)
        assert run.says("outcome aborted"), said(run.place)

    @precondition(lambda self: self.runs)
    @rule(name=st.sampled_from(["one", "two"]))
    def end_target(self, name: str) -> None:
        self.bed.sleepers[name].end()
        for run in self._those("live"):
            if run.target == name:
                self._until_over(run)

    @precondition(lambda self: any(sleeper.state() is None for sleeper in self.bed.sleepers.values()))
    @rule()
    def start_targets(self) -> None:
        """Their successors are found by the same words, and must not get what was meant for those before."""
        for sleeper in self.bed.sleepers.values():
            if sleeper.state() is None:
                sleeper.start()

    # What must hold.

    @invariant()
    def only_what_was_approved(self) -> None:
        assert self.bed.injected() <= self.begun

    @invariant()
    def every_fault_can_be_undone(self) -> None:
        for name in self.bed.stopped():
            known = self.bed.open(name) and any(n.subject == f"{name}-1" for n in undo_notes.left(self.bed.home))
            assert known or self.bed.state(name) != "T", f"{name} stands still, and nobody knows how to wake it"

    @invariant()
    def the_sum_is_within_limits(self) -> None:
        stopped = self.bed.stopped()
        assert "guarded" not in stopped
        assert set(stopped) <= {run.target for run in (*self._those("live"), *self._those("left"))}
        assert len(stopped) <= BED.concurrent_faults_max

    @invariant()
    def nothing_is_live_while_halted(self) -> None:
        assert not (self._those("live") and self.halted)

    @invariant()
    def the_trail_is_whole(self) -> None:
        assert audit.verify(self.bed.home).intact

    def teardown(self) -> None:
        """Let all settle: then nothing is left."""
        if not hasattr(self, "bed"):
            return
        try:
            if self.halted:
                resume(self.bed.home, by="tester")
            for run in self._those("live"):
                process.send(run.pid, run.ticks, signal.SIGKILL)
                self._until_over(run)
            recover(self.bed.home)
            until(lambda: not self.bed.watchdogs(), within_s=60)
            assert self.bed.stopped() == []
            assert self.bed.over()
            assert undo_notes.left(self.bed.home) == []
            assert list(self.bed.home.runs.glob("*/scratch")) == []
        finally:
            for run in self.runs:
                process.send(run.pid, run.ticks, signal.SIGKILL)
            for sleeper in self.bed.sleepers.values():
                sleeper.end()
            shutil.rmtree(self.root)

    # How it is done and seen.

    def _those(self, state: str) -> list[Run]:
        return [run for run in self.runs if run.state == state]

    def _until_over(self, run: Run) -> None:
        until(lambda: not run.alive, within_s=90, what=f"{run.name} goes on")
        until(lambda: not self.bed.open(run.target) and not self.bed.running(run.name), within_s=90)
        assert self.bed.state(run.target) != "T"
        run.state = "over"


def _one(data: st.DataObject, those: list[T]) -> T:
    return those[data.draw(st.integers(0, 11)) % len(those)]


def test_the_promises_hold_whatever_happens_in_whatever_order() -> None:
    Promises.forker = Forker()
    with Server(("127.0.0.1", 0), Quick) as server:
        Promises.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            run_state_machine_as_test(Promises, settings=effort(5, stateful_step_count=10 if FACTOR == 1 else 25))
        finally:
            server.shutdown()
            serving.join()
            Promises.forker.close()
