"""Right before a run: everything asked again, now, of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from executor.clock import boot_id, own_ticks, start_ticks
from executor.drivers.targets import EdgeTargets, ProcessTarget
from executor.errors import InputError, MurphyError, SafetyRefusalError, UnavailableError
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import ProcessInstance, Service, System
from executor.safety.approval import make_grant
from executor.safety.halt import halt, resume
from executor.safety.limits import BlastRadius, Limits
from executor.safety.preflight import Ready, preflight
from executor.safety.radius import refuse_bodies
from executor.safety.signing import create_key, sign_grant
from executor.safety.windows import ChangeWindow
from executor.state.audit import entries
from executor.state.home import Home
from executor.state.journal import Journal, Reach
from tests.executor.safety.conftest import Server
from tests.executor.safety.examples import edge, hang, plan, service, slow, system

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMITS = Limits()


class Able:
    """Stands for a fault's behaviour that can do what it is asked, or says why not."""

    def __init__(self, why: str | None = None) -> None:
        self.why = why
        self.asked: list[object] = []

    def unsupported(self, _: object, target: object) -> str | None:
        self.asked.append(target)
        return self.why


@dataclass
class Desk:
    """A home, a journal, and a system of which one service really runs."""

    home: Home
    journal: Journal
    server: Server
    system: System

    def approve(self, of: Plan, limits: Limits = LIMITS):  # type: ignore[no-untyped-def]
        here = self.journal.installation
        grant = make_grant(of, limits, approver="alice", basis="person", valid_s=3600, now=NOW, installation=here)
        return sign_grant(self.home, "alice", grant)

    def ask(self, of: Plan, **more: Any) -> Ready:
        usual: dict[str, Any] = {"system": self.system, "limits": LIMITS, "now": NOW, "behaviour": lambda _: Able()}
        approval = more.pop("approval", None) or self.approve(of, more.get("limits", LIMITS))
        return preflight(of, approval, home=self.home, journal=self.journal, **{**usual, **more})


def _system(*instances: ProcessInstance) -> System:
    web = Service(name="web", instances=instances)
    return system(web, service("back"), edges=[edge("web", "back")])


@pytest.fixture
def desk(tmp_path: Path, serve: Callable[[], Server]) -> Iterator[Desk]:
    home = Home.open(tmp_path / "home")
    create_key(home, "alice")
    journal = Journal(home.journal)
    server = serve()
    yield Desk(home, journal, server, _system(ProcessInstance(id="web-1", port=server.port)))
    journal.close()


def test_what_may_begin_is_resolved_to_processes(desk: Desk) -> None:
    of = plan(desk.system, hang("web"), slow("web", "back"))
    able = Able()
    ready = desk.ask(of, behaviour=lambda _: able)
    pid = desk.server.process.pid
    body = f"process {pid}/{start_ticks(pid)} {boot_id()}"
    assert ready.reach == Reach(
        1, 1, 1, ("web-1", "web->back"), traffic=100, struck=("web",), leans=("back",), bodies=(body,)
    )
    (process,) = ready.targets["hang-web"]
    assert isinstance(process, ProcessTarget)
    assert (process.instance, process.pid, process.start_ticks) == ("web-1", pid, start_ticks(pid))
    (edges,) = ready.targets["slow-web-back"]
    assert isinstance(edges, EdgeTargets)
    assert [target.pid for target in edges.callers["web"]] == [pid]
    assert able.asked == [process, edges]
    assert ready.hosts == {"127.0.0.1"}


def test_the_real_faults_are_asked_whether_they_can(desk: Desk) -> None:
    from executor.faults.registry import behaviour

    assert desk.ask(plan(desk.system, hang("web")), behaviour=behaviour).targets["hang-web"]


def test_it_writes_that_it_was_asked_and_consumes_nothing(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    approval = desk.approve(of)
    desk.ask(of, approval=approval)
    desk.ask(of, approval=approval)
    (first, _) = [entry for entry in entries(desk.home) if entry.who == "preflight"]
    assert first.detail == {"plan": digest(of), "nonce": approval.grant.nonce}
    assert desk.journal.used(approval.grant.nonce) == ()
    assert desk.journal.running() == []


def refused(desk: Desk, of: Plan, kind: type[MurphyError] = SafetyRefusalError, **more: Any) -> str:
    with pytest.raises(kind) as caught:
        desk.ask(of, **more)
    assert desk.journal.pending() == []
    assert desk.journal.running() == []
    return str(caught.value)


def test_nothing_begins_while_halted(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    halt(desk.home, "smoke in the room", by="alice")
    message = refused(desk, of)
    assert message.startswith("refused by halt: alice halted everything (smoke in the room, ")
    assert message.endswith("and the limit is no run until it is resumed. murphy resume lowers the flag.")
    resume(desk.home)
    desk.ask(of)


def test_an_unreadable_halt_flag_halts(desk: Desk) -> None:
    desk.home.halt_file.write_text("")
    assert refused(desk, plan(desk.system, hang("web"))).startswith("refused by halt")


def test_an_approval_is_good_once(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    approval = desk.approve(of)
    row: dict[str, Any] = {"plan_digest": digest(of), "environment": "development", "reach": Reach(1, 1, 1, ("web-1",))}
    desk.journal.admit("run-1", nonce=approval.grant.nonce, check=lambda _: None, detail={}, **row)
    desk.journal.finish("run-1", "completed")
    assert refused(desk, of, approval=approval) == (
        "refused by single use: the approval was used by run-1, and the limit is one run. Approve the plan again."
    )


def test_the_approval_is_verified(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    approval = desk.approve(of)
    assert "approved plan" in refused(desk, Plan(**{**dict(of), "seed": 1}), approval=approval)
    assert "approved limits" in refused(desk, of, approval=approval, limits=Limits(lease_s=6))
    assert "approval validity" in refused(desk, of, approval=approval, now=NOW + timedelta(hours=2))


def test_the_rules_are_asked_again(desk: Desk) -> None:
    limits = Limits(protected_services=("web",))
    assert refused(desk, plan(desk.system, hang("web")), limits=limits).startswith("refused by protected services")


def test_the_whole_run_must_lie_within_a_change_window(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))  # takes 12 s at most, from 12:00:00
    for ends, passes in (("12:01", True), ("12:00", False)):
        window = ChangeWindow(begins="11:00", ends=ends, environments=(desk.system.environment,))
        limits = Limits(change_windows=(window,))
        if passes:
            desk.ask(of, limits=limits)
        else:
            assert refused(desk, of, limits=limits).startswith("refused by change window")


def test_other_runs_are_asked_for(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    row: dict[str, Any] = {"plan_digest": digest(of), "environment": "development", "reach": Reach(1, 1, 1, ("x-1",))}
    desk.journal.admit("run-1", nonce="n", check=lambda _: None, detail={}, **row)
    with pytest.raises(SafetyRefusalError, match="there is run-1 under way"):
        desk.ask(of)


def test_another_run_on_the_same_process_is_seen_under_whatever_name(desk: Desk) -> None:
    """Another file says otherwise what it is called: still two runs would strike one process."""
    share = BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100)
    limits = Limits(concurrent_runs_max=2, concurrent_faults_max=2, blast_radius=share)
    first = desk.ask(plan(desk.system, hang("web")), limits=limits)
    row: dict[str, Any] = {"plan_digest": "d", "environment": "development", "check": lambda _: None, "detail": {}}
    desk.journal.admit("run-1", nonce="n", reach=first.reach, **row)
    services = (Service(name="shop", instances=(ProcessInstance(id="shop-1", port=desk.server.port),)), service("rest"))
    again = system(*services, edges=[])
    of, asked = plan(again, hang("shop")), {"system": again, "limits": limits}
    with pytest.raises(SafetyRefusalError) as caught:
        desk.ask(of, **asked)
    assert str(caught.value) == (
        f"refused by overlapping targets: run-1 works on process {desk.server.process.pid}, whatever it is called "
        "there, and the limit is one run on a target. Wait for its end."
    )
    desk.journal.finish("run-1", "completed")
    desk.ask(of, **asked)


def test_what_a_run_comes_to_strike_is_kept_for_it_alone(desk: Desk) -> None:
    row: dict[str, Any] = {"plan_digest": "d", "environment": "development", "check": lambda _: None, "detail": {}}
    for name in ("run-1", "run-2"):
        desk.journal.admit(name, nonce=name, reach=Reach(1, 1, 1, (f"{name}-1",)), **row)
    new = ("process 7/1 boot",)
    desk.journal.occupy("run-1", new, partial(refuse_bodies, new))
    desk.journal.occupy("run-1", new, partial(refuse_bodies, new))
    with pytest.raises(SafetyRefusalError, match="run-1 works on process 7, whatever"):
        desk.journal.occupy("run-2", new, partial(refuse_bodies, new))
    later = ("process 7/2 boot",)
    desk.journal.occupy("run-2", later, partial(refuse_bodies, later))
    assert [row.reach.bodies for row in desk.journal.running()] == [new, later]
    desk.journal.refuse_altered()


def test_a_system_that_drifted_is_refused_and_the_change_is_named(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    now = system(*desk.system.services, service("new"))
    approval = desk.approve(of)
    assert refused(desk, of, approval=approval, system=now) == (
        "refused by system drift: small is not as it was planned for, and the limit is the very system that was "
        "planned for. Discover it and plan again."
    )
    message = refused(desk, of, approval=approval, system=now, planned=desk.system)
    assert "not as it was planned for (new is new; web->back is gone), and" in message


def test_a_process_that_is_gone_is_refused(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    desk.server.process.kill()
    desk.server.process.wait(timeout=30)
    message = refused(desk, of, UnavailableError)
    assert message.startswith("web-1: no process")
    assert f"listens on port {desk.server.port}" in message


def test_a_pid_that_means_another_process_now_is_refused(desk: Desk) -> None:
    pid = desk.server.process.pid
    ticks = start_ticks(pid)
    assert ticks is not None
    here = _system(ProcessInstance(id="web-1", pid=pid, start_ticks=ticks))
    desk.ask(plan(here, hang("web")), system=here)
    reused = _system(ProcessInstance(id="web-1", pid=pid, start_ticks=ticks - 1))
    assert "its pid is another process's now" in refused(
        desk, plan(reused, hang("web")), UnavailableError, system=reused
    )


def test_murphy_never_strikes_what_it_lives_under(desk: Desk) -> None:
    for pid, ticks in ((os.getpid(), own_ticks()), (os.getppid(), start_ticks(os.getppid()))):
        ours = _system(ProcessInstance(id="web-1", pid=pid, start_ticks=ticks))
        assert "refused by own processes" in refused(desk, plan(ours, hang("web")), system=ours)


def test_two_names_of_one_process_are_not_two_targets(desk: Desk) -> None:
    port = desk.server.port
    twice = _system(
        ProcessInstance(id="web-1", port=port), ProcessInstance(id="web-2", port=port, command=sys.executable)
    )
    both = plan(twice, hang("web", ids=["web-1"]), hang("web", ids=["web-2"], id="other"))
    message = refused(desk, both, system=twice)
    assert f"web-1 and web-2 are one process, {desk.server.process.pid}" in message


def test_a_process_that_another_service_goes_by_too_is_not_struck(desk: Desk) -> None:
    here = ProcessInstance(id="store-1", port=desk.server.port)
    shared = system(*desk.system.services, Service(name="store", instances=(here,)))
    message = refused(desk, plan(shared, hang("web")), system=shared)
    assert f"store-1 and web-1 are one process, {desk.server.process.pid}" in message


FORKED = """
import os, time
parent, worker = os.getpid(), os.fork()
if worker:
    print(worker, flush=True)
    time.sleep(100)
while os.getppid() == parent:
    time.sleep(0.05)
"""


@pytest.mark.parametrize("struck", ["mother", "mailer"])
def test_a_worker_that_is_another_service_too_is_not_struck(desk: Desk, struck: str) -> None:
    """Neither with the process whose worker it is, nor by itself: half of an instance is none that was named."""
    mother = subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True)
    try:
        assert mother.stdout is not None
        pids = {"mother": mother.pid, "mailer": int(mother.stdout.readline())}
        both = system(
            *(
                Service(name=name, instances=(ProcessInstance(id=f"{name}-1", pid=pid, start_ticks=start_ticks(pid)),))
                for name, pid in pids.items()
            )
        )
        share = BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100)
        other = "mailer" if struck == "mother" else "mother"
        message = refused(desk, plan(both, hang(struck)), system=both, limits=Limits(blast_radius=share))
        assert f"strikes {struck}-1, process {pids[struck]} with its workers" in message
        assert f"process {pids['mailer']} of them is {other}-1's too" in message
    finally:
        mother.kill()
        mother.wait(timeout=30)
        mother.stdout.close()  # type: ignore[union-attr]


SHELTER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()", sys.argv[1]], stdin=subprocess.PIPE)
child.wait()
"""


@pytest.mark.parametrize("protected_by", ["system", "limits", None])
def test_nothing_above_a_protected_service_is_struck(desk: Desk, protected_by: str | None, tmp_path: Path) -> None:
    mark = f"{tmp_path.name}-below"
    parent = subprocess.Popen([sys.executable, "-c", SHELTER, mark], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        parent.stdout.readline()  # the child runs
        ticks = start_ticks(parent.pid)
        above = Service(name="above", instances=(ProcessInstance(id="above-1", pid=parent.pid, start_ticks=ticks),))
        child = ProcessInstance(id="below-1", command=f"print(flush=True); input() {mark}")
        below = Service(name="below", instances=(child,), protected=protected_by == "system")
        tree = system(above, below)
        limits = Limits(protected_services=("below",)) if protected_by == "limits" else LIMITS
        if protected_by:
            message = refused(desk, plan(tree, hang("above")), system=tree, limits=limits)
            assert f"strikes above-1, process {parent.pid}, under which below-1 runs" in message
        else:
            assert "touches 2 instances at once" in refused(desk, plan(tree, hang("above")), system=tree)
            share = BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100)
            ready = desk.ask(plan(tree, hang("above")), system=tree, limits=Limits(blast_radius=share))
            assert ready.reach.targets == ("above-1", "below-1")
    finally:
        parent.kill()  # the child reads the end of its input then, and ends too
        parent.wait(timeout=30)
        parent.stdout.close()


def test_what_cannot_be_done_here_says_why(desk: Desk) -> None:
    able = Able("it needs root.")
    message = refused(desk, plan(desk.system, hang("web")), UnavailableError, behaviour=lambda _: able)
    assert message == "action hang-web, service.hang: it needs root."


def test_an_unknown_target_is_the_authors_mistake(desk: Desk) -> None:
    assert "ghost: the system has no such service." in refused(desk, plan(desk.system, hang("ghost")), InputError)


def test_a_journal_that_cannot_be_written_is_refused(desk: Desk) -> None:
    of = plan(desk.system, hang("web"))
    approval = desk.approve(of)
    desk.journal.store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(UnavailableError, match="journal cannot be used"):
        desk.ask(of, approval=approval)
