"""What the contract suite does not show of machines that libvirt keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from executor.drivers.driver import driver
from executor.drivers.resolve import resolve
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Momentary, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Crash, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import LibvirtInstance, Service, System
from tests.executor.faults.libvirt_machine import Libvirtd, LibvirtMachine, unavailable
from tests.executor.kit import until
from tests.missing import missing

pytestmark = pytest.mark.slow
SCREEN = "<graphics type='vnc' socket='{path}/vnc' passwd='canary'/>"
CARD = "<interface type='user'><mac address='52:54:00:00:00:02'/><model type='rtl8139'/></interface>"


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Libvirtd:
    if reason := unavailable():
        missing(reason)
    made: Libvirtd = request.getfixturevalue("libvirtd")
    return made


@pytest.fixture
def machine(daemon: Libvirtd) -> Iterator[LibvirtMachine]:
    made = LibvirtMachine(daemon, "one")
    yield made
    made.end()


def target(machine: LibvirtMachine) -> Any:
    return resolve(InstanceTarget(service="machines"), machine.system())[0]


def struck(machine: LibvirtMachine, fault: FaultSpec, path: Path) -> tuple[Any, dict[str, Any]]:
    how = behaviour(fault.kind)
    assert why_not(how, fault, target(machine)) is None
    record = how.prepare(fault, target(machine), Context(machine.system(), "murphy-own-1", str(path)))
    return how, record | how.inject(record, 30)


def refused(machine: LibvirtMachine, fault: FaultSpec) -> str:
    return str(why_not(behaviour(fault.kind), fault, target(machine)))


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Vm(how="pause"), ""),
        (Vm(how="detach_nic"), "l"),
        (Vm(how="detach_nic", device="52:54:00:00:00:01"), "l"),
        (Vm(how="detach_nic", device="net0"), "l"),
    ],
    ids=lambda each: each.words() if isinstance(each, FaultSpec) else each,
)
def test_seen_by_the_guest_and_over_afterwards(
    machine: LibvirtMachine, fault: FaultSpec, seen: str, tmp_path: Path
) -> None:
    before = machine.state()
    how, record = struck(machine, fault, tmp_path)
    until(lambda: machine.sees() == seen)
    assert how.active(record) is True
    how.revert(record)
    until(lambda: machine.sees() == ".")
    assert how.active(record) is False
    assert machine.state() == before


def test_a_reset_is_over_at_once(machine: LibvirtMachine, tmp_path: Path) -> None:
    how, record = struck(machine, Vm(how="reset"), tmp_path)
    assert isinstance(how, Momentary)
    assert how.struck(record)
    assert how.active(record) is False
    until(lambda: machine.said().count("B") == 2)
    how.revert(record)
    until(lambda: machine.sees() == ".")


@pytest.mark.parametrize("defined", [True, False], ids=["defined", "known while it runs"])
@pytest.mark.parametrize(
    "fault", [Stop(grace_s=0.5, restart="murphy"), Crash(restart="murphy"), Vm(how="stop")], ids=lambda f: f.kind
)
def test_it_ends_and_comes_back_as_it_was(daemon: Libvirtd, fault: FaultSpec, defined: bool, tmp_path: Path) -> None:
    """This guest does not heed its power button, so its power is cut."""
    machine = LibvirtMachine(daemon, "one", defined=defined)
    try:
        before, number = machine.state(), machine.found()
        how, record = struck(machine, fault, tmp_path)
        assert machine.found() is None
        assert how.active(record) is True
        for _ in range(2):
            how.revert(record)
            assert machine.found() not in (None, number)
            assert how.active(record) is False
        until(lambda: machine.sees() == ".")
        assert machine.state() == before
        assert not list(tmp_path.glob("*.asked"))
    finally:
        machine.end()


def test_one_that_was_asked_to_end_comes_to_its_end_first(machine: LibvirtMachine, tmp_path: Path) -> None:
    """As when the executor was killed between the question and the end."""
    fault = Stop(grace_s=0.2, restart="murphy")
    how = behaviour(fault.kind)
    number = machine.found()
    record = how.prepare(fault, target(machine), Context(machine.system(), "murphy-own-1", str(tmp_path)))
    Path(record["asked"]).touch()
    assert how.active(record) is True
    how.revert(record)
    assert machine.found() not in (None, number)
    assert how.active(record) is False


def test_one_that_its_own_supervisor_has_started_is_not_started_again(machine: LibvirtMachine, tmp_path: Path) -> None:
    how, record = struck(machine, Vm(how="stop"), tmp_path)
    machine.start()
    number = machine.found()
    assert how.active(record) is False
    how.revert(record)
    assert machine.found() == number


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Vm(how="detach_disk"), "name one SCSI disk as device: sdb"),
        (Vm(how="detach_disk", device="hda"), "name one SCSI disk as device: sdb"),
        (Vm(how="detach_nic", device="nic7"), "name one network card as device: 52:54:00:00:00:01"),
    ],
)
def test_a_part_that_is_not_there(machine: LibvirtMachine, fault: FaultSpec, reason: str) -> None:
    assert reason in refused(machine, fault)


def test_one_that_stands_still_already_is_left_alone(machine: LibvirtMachine) -> None:
    machine.virsh("suspend")
    for how in ("pause", "reset"):
        assert "the machine is paused, not running" in refused(machine, Vm(how=how))  # type: ignore[arg-type]


def test_one_that_somebody_let_go_on_is_seen(machine: LibvirtMachine, tmp_path: Path) -> None:
    how, record = struck(machine, Vm(how="pause"), tmp_path)
    machine.virsh("resume")
    assert how.active(record) is False


def test_a_link_that_is_down_already_stays_so(daemon: Libvirtd, tmp_path: Path) -> None:
    machine = LibvirtMachine(daemon, "one", more=CARD)
    try:
        machine.virsh("domif-setlink", "52:54:00:00:00:02", "down")
        before = machine.state()
        how, record = struck(machine, Vm(how="isolate"), tmp_path)
        assert [mac for mac, _ in record["cards"]] == ["52:54:00:00:00:01"]
        how.revert(record)
        assert machine.state() == before
        assert "no link there already" in refused(machine, Vm(how="detach_nic", device="52:54:00:00:00:02"))
    finally:
        machine.end()


@pytest.mark.parametrize("fault", [Vm(how="isolate"), Vm(how="pause")], ids=lambda fault: fault.how)
def test_a_machine_started_anew_is_another(machine: LibvirtMachine, fault: FaultSpec, tmp_path: Path) -> None:
    """Its cables are in, whatever was pulled out of the one of then."""
    how, record = struck(machine, fault, tmp_path)
    machine.die()
    machine.start()
    machine.virsh("suspend")
    assert how.active(record) is False
    how.revert(record)
    assert machine.virsh("domstate").strip() == "paused"
    with pytest.raises(UnavailableError, match="the machine of then does not run any more"):
        how.inject(record, 30)


def test_one_that_would_end_instead_of_starting_anew_is_not_reset(daemon: Libvirtd) -> None:
    machine = LibvirtMachine(daemon, "one", more="</devices><on_reboot>destroy</on_reboot><devices>")
    try:
        assert "its on_reboot is destroy, not restart; choose stop" in refused(machine, Vm(how="reset"))
    finally:
        machine.end()


def test_what_would_not_come_back_is_not_stopped(machine: LibvirtMachine) -> None:
    """A card that is only plugged in until the machine ends."""
    machine.libvirtd.virsh("attach-device", machine.name, "/dev/stdin", "--live", given=CARD)
    assert "its definition lacks 52:54:00:00:00:02" in refused(machine, Vm(how="stop"))


def test_a_password_that_would_be_lost_is_neither_lost_nor_kept(daemon: Libvirtd) -> None:
    machine = LibvirtMachine(daemon, "one", defined=False, more=SCREEN.format(path=daemon.path))
    try:
        reason = refused(machine, Vm(how="stop"))
        assert "holds a secret, which Murphy does not keep" in reason
        assert "canary" not in reason
    finally:
        machine.end()


def found(machine: LibvirtMachine, domain: str) -> Any:
    instance = LibvirtInstance(id="one", domain=domain, uri=machine.libvirtd.uri)
    return driver("libvirt").find(Service(name="machines", instances=(instance,)), instance)


def test_found_by_name_or_uuid(machine: LibvirtMachine) -> None:
    uuid = machine.virsh("domuuid").strip()
    assert found(machine, machine.name).uuid == found(machine, uuid.upper()).uuid == uuid
    with pytest.raises(UnavailableError, match=f"knows no nobody; it knows .*{machine.name}"):
        found(machine, "nobody")


def test_a_machine_that_is_off(machine: LibvirtMachine) -> None:
    machine.die()
    with pytest.raises(UnavailableError, match="the machine is shut off, not running"):
        target(machine)


def test_no_libvirt(daemon: Libvirtd, tmp_path: Path) -> None:
    """What cannot be asked counts as struck still."""
    uri = f"qemu+unix:///session?socket={tmp_path}/none"
    instance = LibvirtInstance(id="one", domain="one", uri=uri)
    service = Service(name="machines", instances=(instance,))
    with pytest.raises(UnavailableError, match=r"one: libvirt at .* refuses list: .*No such file or directory"):
        resolve(InstanceTarget(service="machines"), System(name="cellar", services=(service,)))
    place = {"instance": "one", "uri": uri, "uuid": "0" * 36, "number": "1"}
    assert driver("libvirt").frozen(place) is None  # type: ignore[attr-defined]


def test_no_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    instance = LibvirtInstance(id="one", domain="one")
    with pytest.raises(UnavailableError, match="virsh is not installed; install libvirt-clients"):
        driver("libvirt").find(Service(name="machines", instances=(instance,)), instance)


@pytest.mark.parametrize(
    "uri",
    ["qemu+ext://host/system?command=x", "qemu://user:canary@host/system", "esx://host/", "qemu:///embed?root=/x"],
)
def test_a_place_that_is_not_asked(uri: str) -> None:
    with pytest.raises(ValidationError):
        LibvirtInstance(id="one", domain="one", uri=uri)


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://root@host:2222/system", "qemu+tls://host/system"])
def test_a_place_that_is_asked(uri: str) -> None:
    assert LibvirtInstance(id="one", domain="one", uri=uri).uri == uri
