"""What a sweep undoes on containers and machines by what their engine and QEMU hold for us: no journal, no notes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.clock import start_ticks
from executor.drivers.resolve import found
from executor.drivers.vm import notes as vm_notes
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Container, Vm
from executor.model.faults.service import Hang, Stop
from executor.model.system import System
from executor.state.home import Home
from executor.undo.sweep import sweep
from executor.undo.swept import Swept
from tests.executor.faults.cases.containers import ContainerSubject
from tests.executor.faults.cases.vm import VmSubject
from tests.executor.faults.containers import Engine, Podman, Yard, lacking
from tests.executor.faults.containers import yard as opened_yard
from tests.executor.faults.machine import Machine, unavailable
from tests.executor.kit import until
from tests.missing import missing, not_meant

ROOT = Path(__file__).parents[3]
MARK = f"murphy-managers-{os.getpid()}-1"
INJECT = """
import json, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
behaviour(kind).inject(record, 120.0)
print("done", flush=True)
sys.stdin.close()
import time
time.sleep(120)
"""


@contextmanager
def injecting(fault: FaultSpec, system: System, scratch: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An executor that makes a fault, and that nobody else knows of."""
    how = behaviour(fault.named())
    (service,) = system.services
    target = found(service, service.instances[0])
    record = how.prepare(fault, target, Context(system, MARK, str(scratch)))
    running = subprocess.Popen([sys.executable, "-c", INJECT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(json.dumps([fault.named(), record]).encode())
    running.stdin.close()
    try:
        assert running.stdout.readline() == b"done\n"
        yield running
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def told(home: Home, what: str) -> list[tuple[str, str]]:
    return [(one.outcome, one.text) for one in sweep(home) if what in one.text and one.outcome != "unseen"]


def swept(home: Home, fault: FaultSpec, subject: Any, scratch: Path, what: str) -> None:
    """Left alone while its executor lives, undone once that stands still, and then there is nothing more to undo."""
    until(subject.normal)
    before = subject.state()
    with injecting(fault, subject.system, scratch) as executor:
        until(subject.faulted, what="the target does not show the fault")
        ((outcome, text),) = until(lambda: told(home, what))  # a busy machine may not answer at once
        assert (outcome, text.startswith(f"{what}, which process {executor.pid} has made")) == ("unwatched", True)
        assert subject.faulted()
        executor.send_signal(signal.SIGSTOP)
        until(lambda: process.state(executor.pid, start_ticks(executor.pid) or 0) == "T")
        done = [("done", f"undone: {what}")]
        until(lambda: told(home, what) == done or subject.normal())  # a sweep of a test beside this one may be first
    until(subject.normal, what="the target is not well again")
    assert subject.state() == before
    assert told(home, what) == []


@pytest.fixture(params=["docker", pytest.param("podman", marks=pytest.mark.slow)])
def yard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Yard:
    if reason := lacking(Podman if request.param == "podman" else Engine):
        missing(reason)
    made: Yard = request.getfixturevalue(f"{request.param}_yard")
    monkeypatch.setenv("DOCKER_HOST", made.engine.url)
    return made


@pytest.fixture(scope="module")
def docker_yard() -> Iterator[Yard]:
    with opened_yard() as made:
        yield made


@pytest.fixture(scope="module")
def podman_yard() -> Iterator[Yard]:
    with opened_yard(Podman) as made:
        yield made


def stands_still(subject: ContainerSubject) -> bool:
    return not subject.served.answers()


@pytest.mark.root
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Hang(), "pause"),
        (Container(how="pause"), "pause"),
        (Container(how="kill"), "end"),
        (Stop(grace_s=0.1, restart="murphy"), "end"),
        (Container(how="remove"), "removal"),
        (Container(how="disconnect"), "disconnection"),
    ],
    ids=lambda each: each.words() if isinstance(each, FaultSpec) else each,
)
def test_a_container(yard: Yard, home: Home, tmp_path: Path, fault: FaultSpec, what: str) -> None:
    if isinstance(yard.engine, Podman) and what == "disconnection":
        not_meant("Podman is not asked to, since it could not undo it")
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    swept(home, fault, ContainerSubject(yard, stands_still), scratch, f"{what} of container web")


@pytest.mark.root
def test_a_container_that_somebody_else_paused_stays_so(yard: Yard, home: Home) -> None:
    ContainerSubject(yard, stands_still)
    with yard.engine.client() as client:
        client.pause("neighbour")
        client.create_volume(name="murphy-of-somebody", labels={"murphy.undo": "pause", "murphy.record": "no record"})
        try:
            assert told(home, "neighbour") == []
            assert (yard.neighbour.seen() or {})["State"]["Paused"]
        finally:
            client.unpause("neighbour")
            client.remove_volume("murphy-of-somebody")


@pytest.mark.root
def test_an_engine_that_does_not_answer_is_named(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = tmp_path / "engine.sock"
    nobody.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{nobody}")
    (said,) = (one for one in sweep(home) if str(nobody) in one.text and "other engines" not in one.text)
    assert said.outcome == "unseen"
    assert "the engine cannot be asked" in said.text


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    if reason := unavailable():
        missing(reason)
    made = [Machine(tmp_path, name) for name in ("one", "other")]
    yield made[0], made[1]
    for machine in made:
        machine.end()


@pytest.mark.parametrize(
    ("fault", "what", "shows"),
    [
        (Hang(), "pause", VmSubject.still),
        (Vm(how="pause"), "pause", VmSubject.still),
        (Vm(how="isolate"), "removal", VmSubject.unplugged),
        (Vm(how="detach_disk", device="data0"), "removal", VmSubject.bare),
    ],
    ids=lambda each: each.words() if isinstance(each, FaultSpec) else "",
)
def test_a_machine(
    machines: tuple[Machine, Machine],
    home: Home,
    tmp_path: Path,
    fault: FaultSpec,
    what: str,
    shows: Callable[[VmSubject], str],
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    swept(home, fault, VmSubject(*machines, shows), scratch, f"{what} of machine one")


def test_a_machine_that_somebody_else_paused_stays_so(machines: tuple[Machine, Machine], home: Home) -> None:
    machine, _ = machines
    assert machine.qmp in vm_notes.sockets()
    machine.ask({"execute": "stop"})
    sweep(home)
    assert machine.ask({"execute": "query-status"})[0]["status"] == "paused"


def test_libvirts_sockets_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {
        1: ("qemu-system-x86_64", "-qmp", "unix:/run/libvirt/qemu/a.sock,server=on"),
        2: ("/usr/bin/qemu-system-x86_64", "-chardev", "socket,id=m,path=/srv/b.sock,server=on", "-mon",
            "chardev=m,mode=control"),
        3: ("qemu-system-x86_64", "-chardev", "socket,id=serial,path=/srv/c.sock"),
        4: ("other", "-qmp", "unix:/srv/d.sock"),
        5: ("qemu-system-x86_64", "-qmp", "tcp:127.0.0.1:1"),
    }  # fmt: skip
    monkeypatch.setattr(vm_notes.process, "pids", lambda: list(lines))
    monkeypatch.setattr(vm_notes.process, "command_line", lines.__getitem__)
    assert vm_notes.sockets() == ["/srv/b.sock"]


def test_what_no_mark_can_show_is_said(home: Home) -> None:
    last = sweep(home)[-1]
    assert isinstance(last, Swept)
    assert last.outcome == "unseen"
    for blind in ("processes stopped by a signal", "exchanged volumes", "settings", "databases", "clusters"):
        assert blind in last.text
