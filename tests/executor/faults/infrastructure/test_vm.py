"""What the contract suite does not show of virtual machines."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.resolve import resolve
from executor.drivers.vm import qmp
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Crash, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System, VmInstance
from tests.executor.faults.machine import Machine, unavailable
from tests.executor.kit import until
from tests.missing import missing


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if reason := unavailable():
        missing(reason)
    made = Machine(tmp_path, "one")
    yield made
    made.end()


def target(machine: Machine) -> Any:
    return resolve(InstanceTarget(service="machines"), machine.system())[0]


def struck(machine: Machine, fault: FaultSpec, path: Path) -> tuple[Any, dict[str, Any]]:
    how = behaviour(fault.kind)
    assert why_not(how, fault, target(machine)) is None
    record = how.prepare(fault, target(machine), Context(machine.system(), "murphy-own-1", str(path)))
    return how, record | how.inject(record, 30)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [(Vm(how="pause"), ""), (Vm(how="detach_nic", device="nic0"), "l"), (Vm(how="detach_nic"), "l")],
    ids=lambda each: each.words() if isinstance(each, FaultSpec) else each,
)
def test_seen_by_the_guest_and_over_afterwards(machine: Machine, fault: FaultSpec, seen: str, tmp_path: Path) -> None:
    how, record = struck(machine, fault, tmp_path)
    until(lambda: machine.sees() == seen)
    assert how.active(record) is True
    how.revert(record)
    until(lambda: machine.sees() == ".")
    assert how.active(record) is False


def test_a_reset_is_over_at_once(machine: Machine, tmp_path: Path) -> None:
    how, record = struck(machine, Vm(how="reset"), tmp_path)
    assert how.struck(record)
    assert how.active(record) is False
    until(lambda: machine.said().count("B") == 2)
    how.revert(record)
    until(lambda: machine.sees() == ".")


@pytest.mark.parametrize(
    "fault", [Stop(grace_s=0.1, restart="murphy"), Crash(restart="murphy"), Vm(how="stop")], ids=lambda f: f.kind
)
def test_it_ends_and_comes_back(machine: Machine, fault: FaultSpec, tmp_path: Path) -> None:
    """This guest does not heed its power button, so its QEMU is told to quit."""
    before = machine.found()
    how, record = struck(machine, fault, tmp_path)
    assert machine.found() is None
    assert how.active(record) is True
    how.revert(record)
    assert machine.found() not in (None, before)
    until(lambda: machine.sees() == ".")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Vm(how="detach_disk"), "name one SCSI disk (with an id, on a -blockdev) as device: data0"),
        (Vm(how="detach_disk", device="boot"), "as device: data0"),
        (Vm(how="detach_nic", device="nic7"), "name one network card as device: nic0"),
    ],
)
def test_a_part_that_is_not_there(machine: Machine, fault: FaultSpec, reason: str) -> None:
    assert reason in str(why_not(behaviour(fault.kind), fault, target(machine)))


def test_one_that_stands_still_already_is_left_alone(machine: Machine) -> None:
    machine.ask({"execute": "stop"})
    for how in ("pause", "reset"):
        fault = Vm(how=how)  # type: ignore[arg-type]
        assert "the machine is paused, not running" in str(why_not(behaviour(fault.kind), fault, target(machine)))


def test_one_that_somebody_let_go_on_is_seen(machine: Machine, tmp_path: Path) -> None:
    how, record = struck(machine, Vm(how="pause"), tmp_path)
    machine.ask({"execute": "cont"})
    assert how.active(record) is False


def test_one_that_ends_instead_of_starting_anew_is_not_reset(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    from executor.kernel import process

    monkeypatch.setattr(process, "command_line", lambda _: ("qemu-system-x86_64", "-no-reboot"))
    fault = Vm(how="reset")
    assert "start it without -no-reboot" in str(why_not(behaviour(fault.kind), fault, target(machine)))


def test_a_machine_started_anew_is_another(machine: Machine, tmp_path: Path) -> None:
    """Its cables are in, whatever was pulled out of the one of then."""
    how, record = struck(machine, Vm(how="isolate"), tmp_path)
    machine.die()
    machine.start()
    assert how.active(record) is False
    how.revert(record)
    until(lambda: machine.sees() == ".")


def test_a_socket_that_serves_somebody_else(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "_ANSWERS_S", 0.2)
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(machine.qmp)
        held.recv(1000)
        with pytest.raises(UnavailableError, match="serves one client a socket at a time"):
            target(machine)


@pytest.mark.parametrize("greeting", [b'{"QMP": {}}\n{"return": {}}\n', b"hello\n", b"[]\n", b""])
def test_a_socket_of_something_else(greeting: bytes, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(greeting)
                if greeting.startswith(b"{"):
                    connection.recv(1000)

        server = threading.Thread(target=serve)
        server.start()
        service = Service(name="machines", instances=(VmInstance(id="one", qmp=path),))
        with pytest.raises(UnavailableError):
            resolve(InstanceTarget(service="machines"), System(name="cellar", services=(service,)))
        server.join()


def test_no_socket(tmp_path: Path) -> None:
    service = Service(name="machines", instances=(VmInstance(id="one", qmp=str(tmp_path / "none")),))
    with pytest.raises(UnavailableError, match="QEMU cannot be asked: No such file or directory"):
        resolve(InstanceTarget(service="machines"), System(name="cellar", services=(service,)))


def test_where_others_wait_already_it_is_waited_too(tmp_path: Path) -> None:
    """As for QEMU, which accepts the next client when it has seen the last one go."""
    path = str(tmp_path / "qmp")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)
        connected = socket.socket(socket.AF_UNIX)
        with connected, ThreadPoolExecutor(1) as pool:
            connected.settimeout(1)
            with pytest.raises(BlockingIOError):
                connected.connect(path)
            trying = pool.submit(qmp._connect, connected, path)
            time.sleep(0.2)
            assert not trying.done()
            server.accept()[0].close()
            trying.result(timeout=5)
