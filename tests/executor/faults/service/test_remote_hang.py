"""What the contract suite does not show of processes of other machines: who may, and what a lost machine does alone."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from pydantic import ValidationError

from executor.drivers.driver import Freezes, able
from executor.drivers.resolve import found
from executor.drivers.targets import SshTarget
from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.faults.service import Hang
from executor.model.system import Service, SshInstance, System
from executor.run.engine import run
from executor.state.home import Home
from tests.executor.faults.remote_machine import Sshd
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, until

HOW: Any = behaviour("service.hang")


def target(shelf: Shelf, instance: SshInstance) -> SshTarget:
    made = found(Service(name=shelf.name, instances=(instance,)), instance)
    assert isinstance(made, SshTarget)
    return made


def prepared(shelf: Shelf, sshd: Sshd) -> dict[str, Any]:
    struck = target(shelf, sshd.instance(shelf))
    system = System(name="library", services=(struck.service,))
    assert why_not(HOW, Hang(), struck) is None
    record = HOW.prepare(Hang(), struck, Context(system, "murphy-own-1", "/nowhere"))
    return dict(json.loads(json.dumps(record)))


def held(shelf: Shelf, sshd: Sshd, lease_s: float) -> dict[str, Any]:
    record = prepared(shelf, sshd)
    HOW.inject(record, lease_s)
    assert shelf.stopped()
    return record


def test_a_lost_machine_lets_the_process_go_on_after_the_lease(shelf: Shelf, own: Sshd) -> None:
    record = held(shelf, own, 3.0)
    own.end()
    assert shelf.stopped(), "the keeper died with the connection"
    with pytest.raises(UnavailableError):
        HOW.renew(record, 60.0)
    assert HOW.active(record) is None
    with pytest.raises(UnavailableError):
        HOW.revert(record)
    until(shelf.answers, what="the process stands still for good")
    until(lambda: not own.keepers(), what="the keeper stays")


def test_a_cut_connection_is_made_again_and_the_lease_renewed(shelf: Shelf, sshd: Sshd) -> None:
    record = held(shelf, sshd, 60.0)
    sshd.cut()
    HOW.renew(record, 60.0)
    assert HOW.active(record) is True
    HOW.revert(record)
    assert shelf.answers()
    assert not sshd.keepers()


@pytest.mark.slow
def test_without_a_first_renewal_it_soon_goes_on(shelf: Shelf, sshd: Sshd) -> None:
    """An order that arrives after its executor died, and after its undoing."""
    record = prepared(shelf, sshd)
    HOW.revert(record)
    able(record, Freezes).freeze(record)
    assert shelf.stopped()
    until(shelf.answers, what="the process stands still for good")


def test_a_keeper_that_is_asked_to_end_lets_go_first(shelf: Shelf, sshd: Sshd) -> None:
    record = held(shelf, sshd, 60.0)
    process.send_all(sshd.keepers(), signal.SIGTERM)
    until(shelf.answers, what="the process stands still for good")
    with pytest.raises(FaultGoneError, match="undid the fault"):
        HOW.renew(record, 60.0)


def test_a_keeper_that_is_killed_is_noticed_and_undone(shelf: Shelf, sshd: Sshd) -> None:
    record = held(shelf, sshd, 60.0)
    process.send_all(sshd.keepers(), signal.SIGKILL)
    until(lambda: not sshd.keepers())
    with pytest.raises(FaultGoneError):
        HOW.renew(record, 60.0)
    assert HOW.active(record) is True
    HOW.revert(record)
    until(shelf.answers)


def test_two_cannot_hold_it_under_one_name(shelf: Shelf, sshd: Sshd) -> None:
    record = held(shelf, sshd, 60.0)
    with pytest.raises(UnavailableError, match="in use"):
        HOW.inject(record, 60.0)
    assert HOW.active(record) is True
    HOW.revert(record)
    assert shelf.answers()


def test_a_pid_of_another_process_or_boot_is_never_signalled(shelf: Shelf, sshd: Sshd) -> None:
    record = prepared(shelf, sshd)
    (pid, ticks), *_ = record["processes"]
    for wrong in ({"processes": [[pid, ticks - 1]]}, {"boot": "of then"}):
        with pytest.raises(UnavailableError, match="gone"):
            HOW.inject(record | wrong, 60.0)
        assert shelf.answers()
        assert not sshd.keepers()
    HOW.inject(record, 60.0)
    assert HOW.active(record | {"boot": "of then"}) is False
    HOW.revert(record)


def test_what_somebody_else_has_stopped_is_left_to_them(shelf: Shelf, sshd: Sshd) -> None:
    struck = target(shelf, sshd.instance(shelf))
    process.send(struck.pid, struck.start_ticks, signal.SIGSTOP)
    until(shelf.stopped)
    assert "stopped by somebody" in str(why_not(HOW, Hang(), struck))


def test_what_serves_our_own_connection_is_refused(shelf: Shelf, sshd: Sshd) -> None:
    path = str(sshd.path / "sshd_config")
    instance = SshInstance(**{**dict(sshd.instance(shelf)), "port": sshd.port, "command": path})
    assert "Murphy's own" in str(why_not(HOW, Hang(), target(shelf, instance)))


def test_a_machine_that_is_not_known_is_not_trusted(shelf: Shelf, sshd: Sshd) -> None:
    sshd.knows("impostor", "stranger")
    with pytest.raises(UnavailableError, match="verification failed"):
        target(shelf, sshd.instance(shelf, known_hosts="impostor"))


def test_a_machine_that_does_not_let_us_in_says_so(shelf: Shelf, sshd: Sshd) -> None:
    with pytest.raises(UnavailableError, match="Permission denied"):
        target(shelf, sshd.instance(shelf, identity="stranger"))


def test_a_process_that_is_not_there(sshd: Sshd, shelf: Shelf) -> None:
    shelf.end()
    with pytest.raises(UnavailableError, match="no process that we may look at listens on port"):
        target(shelf, sshd.instance(shelf))


@pytest.mark.slow
def test_a_whole_run(home: Home, shelf: Shelf, sshd: Sshd, quick: None) -> None:
    service = Service(**{**dict(shelf.service()), "instances": (sshd.instance(shelf),), "restarts": "by_hand"})
    system = System(name="library", services=(service,))
    plan = plan_of(system, (experiment_on(system, service.name, Hang()),))
    evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    checks = [check for result in evidence.results for check in result.reverts]
    assert evidence.outcome == "completed"
    assert checks
    assert all(check.reverted and check.verified for check in checks)
    until(lambda: not sshd.keepers(), what="a process stays there")


@pytest.mark.parametrize(
    "field",
    [
        {"host": "-oProxyCommand=touch"},
        {"host": "there; touch"},
        {"user": "-l"},
        {"identity": "relative"},
        {"known_hosts": "/a %h"},
        {"port": None, "command": ""},
        {"command": "serve --password=canary-over-ssh"},
    ],
    ids=str,
)
def test_what_ssh_or_a_reader_could_take_amiss_is_refused(field: dict[str, Any]) -> None:
    given: dict[str, Any] = {"id": "books-1", "host": "there", "port": 80}
    _at(**given)
    with pytest.raises(ValidationError):
        _at(**given | field)


def _at(**fields: Any) -> System:
    return System(name="library", services=(Service(name="books", instances=(SshInstance(**fields),)),))
