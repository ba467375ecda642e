"""What is particular to single faults on instances; the rest is in the contract suite."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import child, locate, process
from executor.model.faults import FaultSpec
from executor.model.faults.service import Crash, Hang, Slowdown, Stop
from executor.model.system import ProcessInstance, Service, System
from tests.executor.kit import free_port, until

SUPERVISOR = """
import subprocess, sys, time
for _ in range(10):
    subprocess.run([sys.executable, *sys.argv[1:]], check=False)
"""
SERVER = """
import http.server, os, signal, sys, threading, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "draining" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: threading.Timer(1.5, os._exit, (0,)).start())
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
if "prefork" in sys.argv:
    parent = os.getpid()
    for _ in range(2):
        if not os.fork():
            while os.getppid() == parent:
                time.sleep(0.02)
            sys.exit()
server.serve_forever()
"""


class Running:
    def __init__(self, *words: str, supervised: bool = False) -> None:
        self.port = free_port()
        argv = ["-c", SERVER, str(self.port), *words]
        before = ["-c", SUPERVISOR] if supervised else []
        self.started = subprocess.Popen([sys.executable, *before, *argv], stderr=subprocess.DEVNULL)
        instance = ProcessInstance(id="it-1", port=self.port)
        restarts = "supervised" if supervised else "by_hand"
        self.service = Service(name="it", instances=(instance,), restarts=restarts)

    def heads(self) -> list[int]:
        return locate.heads_of(self.service.instances[0])

    def target(self) -> ProcessTarget:
        until(self.heads)
        found = locate.find(self.service.instances[0])
        return ProcessTarget(self.service, "it-1", found.pid, found.start_ticks, self.port)

    def end(self) -> None:
        self.started.kill()
        self.started.wait()
        for pid in self.heads():
            process.send(pid, start_ticks(pid) or 0, signal.SIGKILL)
        until(lambda: not self.heads())


@pytest.fixture
def server() -> Iterator[Running]:
    running = Running()
    yield running
    running.end()


def prepared(fault: FaultSpec, target: ProcessTarget, path: Path) -> dict[str, Any]:
    how = behaviour(fault.model_dump()["kind"])
    assert how.unsupported(fault, target) is None
    return how.prepare(
        fault, target, Context(System(name="s", services=(target.service,)), "murphy-instance-1", str(path))
    )


def test_a_supervised_process_is_left_to_its_supervisor(tmp_path: Path) -> None:
    running = Running(supervised=True)
    try:
        record = prepared(Crash(), running.target(), tmp_path)
        behaviour("service.crash").inject(record, 60)
        behaviour("service.crash").revert(record)
        assert [process.parent(pid) for pid in running.heads()] == [running.started.pid]
    finally:
        running.end()


def test_stop_kills_what_does_not_end(tmp_path: Path) -> None:
    running = Running("stubborn")
    try:
        target = running.target()
        record = prepared(Stop(grace_s=0.3), target, tmp_path)
        behaviour("service.stop").inject(record, 60)
        assert not process.alive(target.pid, target.start_ticks)
        behaviour("service.stop").revert(record)
        assert running.heads()
    finally:
        running.end()


@pytest.mark.parametrize(("word", "grace_s"), [("draining", 10.0), ("stubborn", 0.5)])
def test_one_that_was_asked_to_end_is_not_back_while_it_still_runs(tmp_path: Path, word: str, grace_s: float) -> None:
    """Its executor died in mid-grace: a process that goes on for a moment ends after that, and then nobody is left."""
    running = Running(word)
    code = (
        "import json, sys; from executor.faults.registry import behaviour\n"
        "behaviour('service.stop').inject(json.loads(sys.argv[1]), 60)"
    )
    try:
        target, how = running.target(), behaviour("service.stop")
        record = prepared(Stop(grace_s=grace_s, restart="murphy"), target, tmp_path)
        executor = subprocess.Popen([sys.executable, "-c", code, json.dumps({**record, "grace_s": 30})])
        until(Path(str(record["asked"])).exists)
        executor.kill()
        executor.wait()
        process.send(target.pid, target.start_ticks, signal.SIGTERM)  # it may have died between the note and the word
        assert how.active(record) is True
        how.revert(record)
        assert how.active(record) is False
        assert not process.alive(target.pid, target.start_ticks)
        assert running.heads()
    finally:
        running.end()


def test_a_long_grace_is_refused(server: Running) -> None:
    reason = behaviour("service.stop").unsupported(Stop(grace_s=13), server.target())
    assert reason == "a grace time of 13 s is not waited for; give at most 12 s."


def test_workers_hang_with_their_server(tmp_path: Path) -> None:
    running = Running("prefork")
    try:
        target = running.target()
        until(lambda: len(process.members(target.pid, target.start_ticks)) == 3)
        members = process.members(target.pid, target.start_ticks)
        record = prepared(Hang(), target, tmp_path)
        behaviour("service.hang").inject(record, 60)
        until(lambda: [process.state(pid, ticks) for pid, ticks in members] == ["T", "T", "T"])
        behaviour("service.hang").revert(record)
        until(lambda: "T" not in [process.state(pid, ticks) for pid, ticks in members])
    finally:
        running.end()


@pytest.mark.parametrize("fault", [Hang(), Slowdown(cpu_percent=50)], ids=lambda fault: fault.kind)
def test_a_process_that_somebody_else_has_stopped_is_refused(server: Running, tmp_path: Path, fault: FaultSpec) -> None:
    target = server.target()
    process.send(target.pid, target.start_ticks, signal.SIGSTOP)
    until(lambda: process.state(target.pid, target.start_ticks) == "T")
    how = behaviour(fault.model_dump()["kind"])
    assert "stopped by somebody already" in (how.unsupported(fault, target) or "")
    with pytest.raises(UnavailableError):
        how.prepare(fault, target, Context(System(name="s", services=(target.service,)), "m", str(tmp_path)))
    assert process.state(target.pid, target.start_ticks) == "T"


@pytest.mark.parametrize("fault", [Hang(), Slowdown(cpu_percent=50)], ids=lambda fault: fault.kind)
def test_a_worker_that_somebody_else_has_stopped_stays_so(tmp_path: Path, fault: FaultSpec) -> None:
    running = Running("prefork")
    try:
        target, how = running.target(), behaviour(fault.model_dump()["kind"])
        until(lambda: len(process.members(target.pid, target.start_ticks)) == 3)
        members = process.members(target.pid, target.start_ticks)
        process.send(*members[1], signal.SIGSTOP)
        until(lambda: process.state(*members[1]) == "T")
        record = prepared(fault, target, tmp_path)
        record |= dict(how.inject(record, 60))
        until(lambda: [process.state(*each) for each in members] == ["T", "T", "T"])
        how.revert(record)
        until(lambda: [process.state(*each) == "T" for each in members] == [False, True, False])
        assert how.active(record) is False
    finally:
        running.end()


FORKING = """
import os, sys, time
for line in sys.stdin:
    parent = os.getpid()
    if not os.fork():
        print(os.getpid(), flush=True)
        while os.getppid() in (parent, 1):
            time.sleep(0.02)
        os._exit(0)
"""


def test_slowdown_reaches_workers_that_are_started_meanwhile(tmp_path: Path) -> None:
    """They go on with the others, and also when the helper and their parent are killed while they stand still."""
    forking = subprocess.Popen([sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert forking.stdin is not None
    assert forking.stdout is not None

    def started() -> list[int]:
        assert forking.stdin is not None
        assert forking.stdout is not None
        forking.stdin.write(b"\n")
        forking.stdin.flush()
        pid = int(forking.stdout.readline())
        return [pid, start_ticks(pid) or 0]

    service, how = Service(name="it"), behaviour("service.slowdown")
    target = ProcessTarget(service, "it-1", forking.pid, start_ticks(forking.pid) or 0, None)
    workers = [started()]
    try:
        record = prepared(Slowdown(cpu_percent=5), target, tmp_path)
        record |= dict(how.inject(record, 60))
        for _ in range(3):
            workers.append(started())
            until(lambda: process.state(*workers[-1]) == "T")
            until(lambda: process.state(*workers[-1]) != "T")
        how.revert(record)
        assert [process.state(*each) == "T" for each in workers] == [False] * 4
        assert how.active(record) is False
        assert list(tmp_path.iterdir()) == []
        record = prepared(Slowdown(cpu_percent=5), target, tmp_path)
        record |= dict(how.inject(record, 60))
        workers.append(started())
        until(lambda: process.state(*workers[-1]) == "T")
        (helper,) = child.living(Path(str(record["deadline"])))
        process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
        assert process.wait_gone(helper.pid, helper.start_ticks, 10)
        process.send_all(workers, signal.SIGSTOP)  # wherever it was in its turn
        forking.kill()
        until(lambda: not process.alive(target.pid, target.start_ticks))
        how.revert(record)
        assert [process.state(*each) == "T" for each in workers] == [False] * 5
    finally:
        process.send_all([[forking.pid, target.start_ticks], *workers], signal.SIGKILL)
        forking.communicate()


STARTING = """
import os, sys, time
if not os.fork():
    print(os.getpid(), flush=True)
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    os.execv("/bin/sleep", ["sleep", "60"])
time.sleep(60)
"""


def test_slowdown_leaves_what_a_supervisor_starts_alone(tmp_path: Path) -> None:
    """Until it has become another program, what is started looks like a worker."""
    scratch, sign = tmp_path / "scratch", tmp_path / "sign"
    scratch.mkdir()
    starting = subprocess.Popen([sys.executable, "-c", STARTING, str(sign)], stdout=subprocess.PIPE)
    assert starting.stdout is not None
    started = int(starting.stdout.readline())
    other = [started, start_ticks(started) or 0]
    how = behaviour("service.slowdown")
    target = ProcessTarget(Service(name="it"), "it-1", starting.pid, start_ticks(starting.pid) or 0, None)
    try:
        record = prepared(Slowdown(cpu_percent=50), target, scratch)
        record |= dict(how.inject(record, 60))
        until(lambda: process.state(*other) == "T")
        sign.touch()
        until(lambda: process.command_line(started)[:1] == ("sleep",))
        for _ in range(3):
            until(lambda: process.state(target.pid, target.start_ticks) != "T")
            until(lambda: process.state(target.pid, target.start_ticks) == "T")
        assert process.state(*other) != "T"
        how.revert(record)
    finally:
        process.send_all([[target.pid, target.start_ticks], other], signal.SIGKILL)
        starting.communicate()


def test_slowdown_whose_helper_was_killed_lets_the_process_go_on(server: Running, tmp_path: Path) -> None:
    """A helper killed by force while the process stands still cannot let it go on; reverting does."""
    target, how = server.target(), behaviour("service.slowdown")
    record = prepared(Slowdown(cpu_percent=5), target, tmp_path)
    how.inject(record, 60)
    (helper,) = child.living(Path(str(record["deadline"])))
    until(lambda: process.state(target.pid, target.start_ticks) == "T")
    process.send(helper.pid, helper.start_ticks, signal.SIGSTOP)
    until(lambda: process.state(helper.pid, helper.start_ticks) == "T")
    process.send(target.pid, target.start_ticks, signal.SIGSTOP)
    process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
    assert process.wait_gone(helper.pid, helper.start_ticks, 10)
    assert how.active(record) is True
    how.revert(record)
    assert how.active(record) is False
    assert process.state(target.pid, target.start_ticks) != "T"
