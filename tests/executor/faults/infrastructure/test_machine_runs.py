"""Whole runs on machines: approved, guarded, undone and written down like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executor.model.evidence import Evidence
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Fis, Vm
from executor.model.system import Service, System
from executor.run.engine import run
from executor.state.home import Home
from executor.undo.recover import recovery
from tests.executor.faults import libvirt_machine
from tests.executor.faults.amazon import Amazon
from tests.executor.faults.libvirt_machine import LibvirtMachine
from tests.executor.faults.machine import Machine, unavailable
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, until
from tests.missing import missing

pytestmark = pytest.mark.usefixtures("quick")


def ran(home: Home, shelf: Shelf, instance: Any, fault: FaultSpec) -> Evidence:
    """A service whose users are answered by a shelf, and which is said to run on the machine."""
    service = Service(**{**dict(shelf.service()), "instances": (instance,), "restarts": "by_hand"})
    system = System(name="library", services=(service,))
    plan = plan_of(system, (experiment_on(system, service.name, fault),))
    return run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)


def all_undone(evidence: Evidence) -> bool:
    checks = [check for result in evidence.results for check in result.reverts]
    return bool(checks) and all(check.reverted and check.verified for check in checks) and not evidence.owed


def test_a_virtual_machine(home: Home, tmp_path: Path) -> None:
    if reason := unavailable():
        missing(reason)
    machine = Machine(tmp_path, "one")
    try:
        with shelves("books") as (books,):
            evidence = ran(home, books, machine.instance(), Vm(how="stop"))
        assert evidence.outcome == "completed"
        assert all_undone(evidence)
        until(lambda: machine.sees() == ".")
    finally:
        machine.end()


@pytest.mark.slow
def test_a_machine_of_libvirt(home: Home, request: pytest.FixtureRequest) -> None:
    if reason := libvirt_machine.unavailable():
        missing(reason)
    machine = LibvirtMachine(request.getfixturevalue("libvirtd"), "one", defined=False)
    before = machine.state()
    try:
        with shelves("books") as (books,):
            evidence = ran(home, books, machine.instance(), Vm(how="stop"))
        assert evidence.outcome == "completed"
        assert all_undone(evidence)
        until(lambda: machine.sees() == ".")
        assert machine.state() == before
    finally:
        machine.end()


def test_an_instance_of_amazon(home: Home, amazon: Amazon) -> None:
    machine = amazon.machine()
    before = amazon.image_of(machine), amazon.all_groups()
    with shelves("books") as (books,):
        evidence = ran(home, books, amazon.instance("web-1", machine, amazon.endpoint), Vm(how="isolate"))
    assert evidence.outcome == "completed"
    assert all_undone(evidence)
    assert (amazon.image_of(machine), amazon.all_groups()) == before
    amazon.end()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Vm(how="terminate"), Fis(does="terminate")], ids=lambda fault: fault.kind)
@pytest.mark.parametrize("looks", [0, 8], ids=["replaced at once", "replaced later"])
def test_an_instance_of_a_group_of_amazon(home: Home, amazon: Amazon, fault: FaultSpec, looks: int) -> None:
    """Whoever is replaced before the fault's time is over has not ended it too early."""
    amazon.fis.forget()
    one, other = amazon.group(size=2)
    before = amazon.image_of(other)
    amazon.launches.looks = looks
    try:
        with shelves("books") as (books,):
            evidence = ran(home, books, amazon.instance("web-1", one, amazon.endpoint), fault)
        assert evidence.outcome == "completed"
        assert all_undone(evidence)
        assert amazon.about(one)["State"]["Name"] == "terminated"
        assert len(amazon.serving()) == 2
        assert amazon.image_of(other) == before
    finally:
        amazon.end()


@pytest.mark.slow
def test_a_group_that_does_not_get_whole_again_is_owed_and_then_not(
    home: Home, amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.drivers.aws.groups._REPLACED_WITHIN_S", 0.1)
    one, _ = amazon.group(size=2)
    amazon.launches.stuck = True
    try:
        with shelves("books") as (books,):
            evidence = ran(home, books, amazon.instance("web-1", one, amazon.endpoint), Vm(how="terminate"))
        assert len(evidence.owed) == 1
        assert "web lacks 1 of 2 healthy instances in service" in str(evidence.owed)
        amazon.launches.stuck = False
        until(lambda: all(each.reverted for each in recovery(home).results), what="it is still owed")
        assert len(amazon.serving()) == 2
    finally:
        amazon.end()
