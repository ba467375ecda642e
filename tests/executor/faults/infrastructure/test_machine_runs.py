"""Whole runs on machines: approved, guarded, undone and written down like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executor.model.evidence import Evidence
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.system import Service, System
from executor.run.engine import run
from executor.state.home import Home
from tests.executor.faults.amazon import Amazon
from tests.executor.faults.machine import Machine, unavailable
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves
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
        assert machine.sees() == "."
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
