"""What the contract suite does not show of containers: who starts them again, what is refused, and process faults."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from executor.clock import start_ticks
from executor.drivers.container.driver import DRIVER
from executor.drivers.resolve import found
from executor.drivers.targets import Contained, ContainerTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Behaviour, Context, why_not
from executor.faults.registry import behaviour
from executor.kernel import cgroup, process
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Container
from executor.model.faults.network import Loss
from executor.model.faults.resource import CpuThrottle, FileDescriptors, Oom
from executor.model.faults.service import Crash, Hang, RestartLoop, Slowdown, Stop
from executor.model.system import ContainerInstance, ProcessInstance, Service, System
from executor.model.vocabulary import Scope
from tests.executor.faults.cases.containers import ContainerSubject, ended, paused
from tests.executor.faults.containers import IMAGE, Engine, Podman, Served, Yard, lacking
from tests.executor.kit import until
from tests.missing import missing

ROOT = Path(__file__).parents[4]
MARK = f"murphy-container-{os.getpid()}-1"
LONG_S = 60.0
GROWS_BYTES_MAX = 15 * 2**20
"""What Docker's SDK may take of the watchdog's memory; see docs/decisions/containers.md."""


class Struck:
    """A fault prepared on a container."""

    def __init__(self, fault: FaultSpec, served: Served, scratch: Path, **about: Any) -> None:
        self.fault, self.served, self.scratch = fault, served, scratch
        service = Service(name="web", instances=(served.instance,), **{"restarts": "by_hand", **about})
        self.system = System(name="shop", services=(service,))
        self.how: Behaviour = behaviour(fault.named())
        self.target = DRIVER.find(service, served.instance)
        assert why_not(self.how, fault, self.target) is None
        prepared = self.how.prepare(fault, self.target, Context(self.system, MARK, str(scratch)))
        self.record: dict[str, Any] = json.loads(json.dumps(prepared))

    def inject(self) -> None:
        self.record |= dict(self.how.inject(self.record, LONG_S))

    def revert(self) -> None:
        self.how.revert(self.record)
        assert self.how.active(self.record) is False


@pytest.fixture(params=["docker", pytest.param("podman", marks=pytest.mark.slow)])
def grounds(request: pytest.FixtureRequest) -> Yard:
    return _grounds(request, request.param)


@pytest.fixture
def podman(request: pytest.FixtureRequest) -> Yard:
    return _grounds(request, "podman")


def _grounds(request: pytest.FixtureRequest, engine: str) -> Yard:
    if reason := lacking(Podman if engine == "podman" else Engine):
        missing(reason)
    yard: Yard = request.getfixturevalue("podman_yard" if engine == "podman" else "yard")
    yard.target.start()
    yard.neighbour.start()
    return yard


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir(mode=0o700)
    return path


@contextmanager
def another(yard: Yard, name: str, **about: Any) -> Iterator[Served]:
    """A container for one test alone."""
    served = Served(yard.engine, name, 8090, **about)
    try:
        served.start()
        yield served
    finally:
        with yard.engine.client() as client:
            for each in client.containers(all=True):
                if each["Names"][0].removeprefix("/") in (name, MARK):
                    client.remove_container(each["Id"], force=True)


def started(served: Served) -> str:
    seen = served.seen()
    return str(seen["State"]["StartedAt"]) if seen else ""


def test_a_killed_container_comes_back_by_its_restart_policy(grounds: Yard, scratch: Path) -> None:
    with another(grounds, "always", policy="always") as served:
        struck = Struck(Crash(), served, scratch)
        before = started(served)
        struck.inject()
        assert struck.how.struck(struck.record)  # type: ignore[attr-defined]
        until(served.answers, what="the engine does not start it again")
        again = started(served)
        assert again != before
        assert (served.seen() or {})["RestartCount"] == 1
        struck.revert()
        assert started(served) == again, "Murphy started what was back already"


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        (Container(how="kill"), ended),
        (Container(how="stop"), ended),
        (Container(how="pause"), paused),
        (Stop(grace_s=5), ended),
        (Crash(restart="murphy"), ended),
    ],
    ids=lambda value: value.words() if isinstance(value, FaultSpec) else "",
)
def test_normal_faulted_normal(
    grounds: Yard, scratch: Path, fault: FaultSpec, shows: Callable[[ContainerSubject], bool]
) -> None:
    subject = ContainerSubject(grounds, shows)
    before = subject.state()
    struck = Struck(fault, grounds.target, scratch)
    struck.inject()
    until(lambda: struck.how.active(struck.record))  # an engine learns a little late that a process has ended
    assert subject.faulted()
    assert subject.unharmed()
    struck.revert()
    until(subject.normal)
    assert subject.state() == before
    assert list(scratch.iterdir()) == []


def test_a_stop_undone_while_it_waits_comes_to_its_end_first(grounds: Yard, scratch: Path) -> None:
    with another(grounds, "deaf", trap="") as served:
        struck = Struck(Stop(grace_s=1), served, scratch)
        before = started(served)
        executor = _execute(struck)
        until(lambda: Path(struck.record["asked"]).exists())
        executor.kill()
        executor.wait()
        assert struck.how.active(struck.record) is True
        struck.revert()
        if started(served) == before:  # the executor died before its word reached the engine: it never ends then
            time.sleep(3)
        until(served.answers)


@pytest.mark.parametrize("fault", [Hang(), Container(how="kill")], ids=lambda fault: fault.named())
def test_what_the_engine_does_late_is_undone(grounds: Yard, scratch: Path, fault: FaultSpec) -> None:
    """The engine stands still while it is asked, and whoever asked is dead when it goes on."""
    struck = Struck(fault, grounds.target, scratch)
    pid = grounds.engine.process.pid
    ticks = start_ticks(pid)
    assert ticks is not None
    process.send(pid, ticks, signal.SIGSTOP)
    try:
        if "asked" in struck.record:
            Path(struck.record["asked"]).touch()
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(struck.record["engine"].removeprefix("unix://"))
            verb = "pause" if fault.named() == "service.hang" else "kill"
            request = f"POST /containers/{struck.record['container']}/{verb} HTTP/1.1\r\nHost: engine\r\n\r\n"
            asking.sendall(request.encode())
    finally:
        process.send(pid, ticks, signal.SIGCONT)
    struck.revert()
    until(grounds.target.answers)
    assert not list(scratch.iterdir())


def _execute(struck: Struck) -> subprocess.Popen[bytes]:
    """Another process that makes the fault."""
    code = (
        "import json, sys; from executor.faults.registry import behaviour\n"
        "kind, record = json.load(sys.stdin); behaviour(kind).inject(record, 60.0)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=ROOT)
    assert other.stdin is not None
    other.stdin.write(json.dumps([struck.how.kind, struck.record]).encode())
    other.stdin.close()
    return other


@pytest.mark.parametrize("restarts", ["by_hand", "supervised"])
def test_a_removed_container_that_somebody_has_replaced(grounds: Yard, scratch: Path, restarts: str) -> None:
    with another(grounds, "gone") as served:
        first = (served.seen() or {})["Id"]
        struck = Struck(Container(how="remove"), served, scratch, restarts=restarts)
        struck.inject()
        assert served.seen() is None
        other = Served(grounds.engine, "gone", 8090)
        other.start()
        if restarts == "supervised":
            struck.revert()
        else:
            with pytest.raises(UnavailableError, match=f"another container is called gone now; ours is kept as {MARK}"):
                struck.how.revert(struck.record)
        with grounds.engine.client() as client:
            kept = {each["Id"] for each in client.containers(all=True)}
        assert (first in kept) == (restarts == "by_hand")
        assert other.answers()


def test_what_a_removed_container_has_written_is_still_there(grounds: Yard, scratch: Path) -> None:
    with another(grounds, "writer") as served:
        with grounds.engine.client() as client:
            made = client.exec_create("writer", ["/bin/sh", "-c", "echo kept > /www/index.html"])
            client.exec_start(made["Id"])
        struck = Struck(Container(how="remove"), served, scratch)
        struck.inject()
        struck.revert()
        until(lambda: grounds.engine.inside(served.body) == b"kept\n")


def test_a_signal_that_it_would_not_get_is_refused(grounds: Yard, scratch: Path) -> None:
    struck = Struck(Crash(signal="ABRT"), grounds.target, scratch)
    with pytest.raises(UnavailableError, match="does not get SIGABRT unless it has a handler for it; use KILL"):
        struck.inject()
    assert grounds.target.answers()
    struck.revert()


def test_what_is_refused(grounds: Yard) -> None:
    engine = grounds.engine
    service = Service(name="web", instances=(grounds.target.instance,))
    target = DRIVER.find(service, grounds.target.instance)
    cut = Container(how="disconnect", network="else")
    assert why_not(behaviour(cut.kind), cut, target) == "container web is not in network else; it is in shop."
    slow = Container(how="stop", grace_s=60)
    assert "give at most 12 s" in (why_not(behaviour(slow.kind), slow, target) or "")
    with pytest.raises(UnavailableError, match="container nowhere is not there"):
        DRIVER.find(service, ContainerInstance(id="web-1", container="nowhere", engine=engine.url))
    grounds.target.end()
    with pytest.raises(UnavailableError, match="container web is exited"):
        DRIVER.find(service, grounds.target.instance)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK does not close its socket
def test_an_engine_that_is_not_there() -> None:
    instance = ContainerInstance(id="web-1", container="web", engine="unix:///nowhere.sock")
    with pytest.raises(UnavailableError, match=r"the engine cannot be asked.*Start it, or run Murphy as a user"):
        DRIVER.find(Service(name="web", instances=(instance,)), instance)
    gc.collect()


def test_the_container_that_murphy_runs_in_is_refused(grounds: Yard) -> None:
    """An engine tells a container its name by a file of its own, mounted there."""
    seen = grounds.target.seen() or {}
    code = """if True:
        import json, sys
        from executor.drivers.container.driver import DRIVER
        from executor.model.system import Service
        service = Service.model_validate_json(sys.argv[1])
        target = DRIVER.find(service, service.instances[0])
        print(DRIVER.unfreezable(target), DRIVER.unendable(target))
    """
    told = Service(name="web", instances=(grounds.target.instance,)).model_dump_json()
    mounted = 'mount --bind "$1" /etc/hostname && exec "$2" -c "$3" "$4"'
    command = ["unshare", "--mount", "sh", "-c", mounted, "sh", seen["HostnamePath"], sys.executable, code, told]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    why = "Murphy runs in web-1; choose another target."
    assert said == f"{why} {why}\n"


def test_what_would_be_gone_for_good_is_refused(grounds: Yard) -> None:
    with another(grounds, "passing", auto_remove=True) as served:
        target = DRIVER.find(Service(name="web", instances=(served.instance,)), served.instance)
        for fault in (Crash(), Container(how="kill"), Container(how="remove")):
            assert "for good when it ends (--rm)" in (why_not(behaviour(fault.named()), fault, target) or "")


@contextmanager
def made(yard: Yard, name: str, **host: Any) -> Iterator[ContainerInstance]:
    """A container that answers nowhere, for one test alone."""
    with yard.engine.client() as client:
        config = client.create_host_config(cgroup_parent=f"/{yard.engine.name}", **host)
        client.create_container(IMAGE, ["/bin/sh", "-c", "sleep 1000"], name=name, ports=[80], host_config=config)
        try:
            client.start(name)
            yield ContainerInstance(id=f"{name}-1", container=name, engine=yard.engine.url)
        finally:
            client.remove_container(name, force=True)


@pytest.mark.parametrize("asked", [{"port_bindings": {80: None}}, {"publish_all_ports": True}])
def test_a_port_that_the_engine_chose_is_not_exchanged_for_another(grounds: Yard, asked: dict[str, Any]) -> None:
    """Podman chooses when it makes the container, and never again."""
    with made(grounds, "chosen", **asked) as instance:
        target = DRIVER.find(Service(name="web", instances=(instance,)), instance)
        if isinstance(grounds.engine, Podman):
            _keeps_its_port(grounds, target)
            return
        for fault in (Crash(), Stop(), Container(how="remove"), Container(how="disconnect")):
            reason = why_not(behaviour(fault.named()), fault, target) or ""
            assert reason.startswith("chosen-1 would not get port ")
            assert reason.endswith(", which the engine chose for its 80/tcp, again; publish a fixed one.")
        assert why_not(behaviour("service.hang"), Hang(), target) is None


def _keeps_its_port(yard: Yard, target: Contained) -> None:
    assert why_not(behaviour("service.crash"), Crash(), target) is None
    with yard.engine.client() as client:
        ports = [client.inspect_container("chosen")["NetworkSettings"]["Ports"]]
        for _ in range(2):
            client.restart("chosen", timeout=0)
            ports.append(client.inspect_container("chosen")["NetworkSettings"]["Ports"])
    assert ports[0]["80/tcp"]
    assert ports == ports[:1] * 3


@pytest.mark.slow
def test_podman_cuts_none_off_since_it_does_not_tell_who_asked_for_an_address(podman: Yard) -> None:
    target = DRIVER.find(Service(name="web", instances=(podman.target.instance,)), podman.target.instance)
    reason = why_not(behaviour("infrastructure.container"), Container(how="disconnect"), target)
    assert reason == (
        "Podman does not tell which address container web asked for, to ask for it again; choose another fault."
    )


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_container_among_its_processes_is_none_of_them(grounds: Yard, by: str) -> None:
    """It is not slowed down or limited with it; it would end with it, and nobody could bring it back."""
    target = DRIVER.find(Service(name="web", instances=(grounds.target.instance,)), grounds.target.instance)
    assert isinstance(target, ContainerTarget)
    own = process.members(target.pid, target.start_ticks)
    with made(grounds, "side", pid_mode=f"container:{target.container if by == 'id' else grounds.target.name}") as side:
        stranger = DRIVER.find(Service(name="side", instances=(side,)), side)
        assert process.members(target.pid, target.start_ticks) == own
        assert DRIVER.beside(target, Scope.TARGET, Hang(), [stranger]).instances == {"side-1"}
        assert DRIVER.beside(target, Scope.TARGET, Hang(), []).strangers == (
            "container side, which is in its pid namespace",
        )
        for fault in (Crash(), Container(how="restart")):
            reason = why_not(behaviour(fault.named()), fault, target)
            assert reason == "web-1 would take container side along, which is in its pid namespace, for good."
    assert why_not(behaviour("service.crash"), Crash(), target) is None


def test_a_container_among_the_processes_of_the_host_is_its_own(grounds: Yard) -> None:
    with made(grounds, "wide", pid_mode="host") as instance:
        target = DRIVER.find(Service(name="wide", instances=(instance,)), instance)
        assert isinstance(target, ContainerTarget)
        assert all(
            target.container in str(cgroup.hierarchy("cpu").of(pid))
            for pid, _ in process.members(target.pid, target.start_ticks)
        )


def test_a_process_is_no_container() -> None:
    instance = ProcessInstance(id="me", pid=os.getpid(), start_ticks=start_ticks(os.getpid()))
    fault = Container(how="kill")
    why = why_not(behaviour(fault.kind), fault, found(Service(name="me", instances=(instance,)), instance))
    assert why is not None
    assert "me is a process, and not something that an engine of containers runs" in why


def _slow(served: Served, target: ContainerTarget) -> bool:
    """All processes in it stand still, and all go on, by turns."""
    everybody = process.members(target.pid, target.start_ticks)
    assert len(everybody) >= 3, "a shell, a server, and what the shell waits for"
    for wanted in (True, False):
        until(lambda now=wanted: all((process.state(*one) == "T") is now for one in everybody))
    return True


def _silent(served: Served, target: ContainerTarget) -> bool:
    return served.answered(5, within_s=0.1) == 0


def _throttled(served: Served, target: ContainerTarget) -> bool:
    where = cgroup.hierarchy("cpu").of(target.pid)
    assert target.container in str(where), "another cgroup is limited than the container's"
    text = [(where / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.max") if (where / name).exists()]
    return text != ["-1\n"] and "max" not in text[0]


def _full(served: Served, target: ContainerTarget) -> bool:
    return served.answered(5, within_s=0.1) == 0


def _killed(served: Served, target: ContainerTarget) -> bool:
    seen = served.seen()
    if isinstance(served.engine, Podman):  # version 4.3 does not note it in OOMKilled
        return seen is not None and seen["State"]["ExitCode"] == 128 + SIGKILL
    return seen is not None and bool(seen["State"]["OOMKilled"])


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        (Slowdown(cpu_percent=50), _slow),
        (CpuThrottle(quota_percent=20), _throttled),
        (Loss(percent=100), _silent),
        (FileDescriptors(leave=0), _full),
        (Oom(), _killed),
    ],
    ids=lambda value: value.named() if isinstance(value, FaultSpec) else "",
)
def test_faults_on_processes_strike_the_whole_container_and_nothing_beside(
    grounds: Yard, scratch: Path, fault: FaultSpec, shows: Callable[[Served, ContainerTarget], bool]
) -> None:
    subject = ContainerSubject(grounds, lambda _: False)
    before = subject.state()
    struck = Struck(fault, grounds.target, scratch)
    assert isinstance(struck.target, ContainerTarget)
    struck.inject()
    until(lambda: struck.how.active(struck.record))  # an engine learns a little late that a process has ended
    until(lambda: shows(grounds.target, struck.target))  # type: ignore[arg-type]
    assert subject.unharmed()
    struck.revert()
    until(subject.normal)
    assert _forgotten(subject.state()) == before


def _forgotten(state: Any) -> Any:
    """The engine remembers until a container is removed that it was once short of memory."""
    for each in state["containers"]:
        each["State"]["OOMKilled"] = False
    return state


def test_a_loop_of_restarts_by_its_restart_policy(grounds: Yard, scratch: Path) -> None:
    with another(grounds, "always", policy="always") as served:
        struck = Struck(RestartLoop(every_s=0.5, times=3), served, scratch, restarts="supervised")
        struck.inject()
        until(lambda: (served.seen() or {})["RestartCount"] >= 3, what="it is not killed again")
        struck.revert()
        until(served.answers)
        assert grounds.neighbour.answered(5) == 5


def test_idle_connections_to_where_it_is_published(grounds: Yard, scratch: Path) -> None:
    """Where Murphy runs beside the engine, that is in its network."""
    code = """if True:
        import json, sys, time
        from executor.drivers.container.driver import DRIVER
        from executor.faults.behaviour import Context
        from executor.faults.registry import behaviour
        from executor.model.faults.resource import Connections
        from executor.model.system import System
        system, mark, scratch = json.loads(sys.argv[1])
        system = System.model_validate(system)
        service = system.services[0]
        how = behaviour("resource.connections")
        target = DRIVER.find(service, service.instances[0])
        record = how.prepare(Connections(count=10), target, Context(system, mark, scratch))
        def there():
            lines = open(f"/proc/{target.pid}/net/tcp").readlines() + open(f"/proc/{target.pid}/net/tcp6").readlines()
            return sum(line.split()[3] == "01" and line.split()[1].endswith(":0050") for line in lines)
        how.inject(record, 60)
        until = time.monotonic() + 10
        while (held := there()) < 10 and time.monotonic() < until:  # this end of a connection may stand a moment later
            time.sleep(0.01)
        how.revert(record)
        print(record["address"], held)
    """
    service = Service(name="web", instances=(grounds.target.instance,))
    told = json.dumps([System(name="shop", services=(service,)).model_dump(mode="json"), MARK, str(scratch)])
    command = ["nsenter", f"--net={grounds.engine.net}", sys.executable, "-c", code, told]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said == "127.0.0.1 10\n"
    assert grounds.target.answers()


def test_a_container_whose_processes_are_out_of_sight(grounds: Yard, scratch: Path) -> None:
    """Murphy in a container itself sees no process of another: the engine does what it can."""
    code = """if True:
        import json, sys
        from executor.drivers.container.driver import DRIVER
        from executor.drivers.targets import ProcessTarget
        from executor.faults.behaviour import Context, why_not
        from executor.faults.registry import behaviour
        from executor.model.faults.resource import FileDescriptors
        from executor.model.faults.service import Crash
        from executor.model.system import System
        system, mark, scratch = json.loads(sys.argv[1])
        system = System.model_validate(system)
        service = system.services[0]
        target = DRIVER.find(service, service.instances[0])
        print(why_not(behaviour("resource.file_descriptors"), FileDescriptors(leave=0), target))
        how = behaviour("service.crash")
        record = how.prepare(Crash(), target, Context(system, mark, scratch))
        how.inject(record, 60)
        print(isinstance(target, ProcessTarget), how.active(record), how.struck(record))
        how.revert(record)
        print(how.active(record))
    """
    service = Service(name="web", instances=(grounds.target.instance,), restarts="by_hand")
    told = json.dumps([System(name="shop", services=(service,)).model_dump(mode="json"), MARK, str(scratch)])
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code, told]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    assert said == [
        "web-1 is a container, and this fault needs a process of this machine; choose another fault or instance.",
        "False True True",
        "False",
    ]
    until(grounds.target.answers)


def test_undoing_one_does_not_make_the_watchdog_big(grounds: Yard, scratch: Path) -> None:
    struck = Struck(Hang(), grounds.target, scratch)
    struck.inject()
    code = """if True:
        import json, os, sys
        import executor.undo.watchdog
        from executor.faults.registry import behaviour
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        before = resident()
        kind, record = json.load(sys.stdin)
        behaviour(kind).revert(record)
        print(resident() - before)
    """
    told = json.dumps([struck.how.kind, struck.record])
    said = subprocess.run([sys.executable, "-c", code], input=told, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert int(said.stdout) < GROWS_BYTES_MAX
    assert struck.how.active(struck.record) is False


def test_another_start_of_it_is_another_target(grounds: Yard, scratch: Path) -> None:
    struck = Struck(Hang(), grounds.target, scratch)
    grounds.target.end()
    grounds.target.start()
    with pytest.raises(UnavailableError, match="ended, or was started again, by itself"):
        struck.inject()
    assert isinstance(struck.target, Contained)
    with pytest.raises(UnavailableError):
        struck.how.prepare(struck.fault, struck.target, Context(struck.system, MARK, str(scratch)))
    assert grounds.target.answers()
