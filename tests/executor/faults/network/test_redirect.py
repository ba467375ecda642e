"""The kernel redirect: who is hurt, what ends it, and what is left when anything dies."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import own_ticks
from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Context
from executor.faults.interception import ways
from executor.faults.registry import behaviour
from executor.kernel import child, nft, process, redirect
from executor.model.faults.network import Latency, Reset
from executor.model.faults.service import DependencyFailure, Error, Timeout
from executor.model.system import Dependency, KernelRedirect, ProcessInstance, Service, System
from tests.executor.faults.edge_kit import (
    Caller,
    Held,
    Scene,
    faulted,
    is_struck,
    need_redirect,
    on_edge,
    one_edge,
    scene,
    serving,
)
from tests.executor.faults.net_kit import echoes, listener
from tests.executor.proxy.servers import free_port, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Scene]:
    with scene("redirect", tmp_path) as made:
        yield made


def _helper(held: Held) -> process.Found:
    (found,) = child.living(Path(held.record["deadline"]))
    return found


def _end_by_force(held: Held) -> None:
    found = _helper(held)
    process.send(found.pid, found.start_ticks, signal.SIGKILL)
    process.wait_gone(found.pid, found.start_ticks, 10)


def test_a_worker_of_the_caller_is_hurt_too(tmp_path: Path) -> None:
    with scene("redirect", tmp_path, "--worker") as edge:
        assert edge.call()["pid"] != edge.caller.process.pid
        with faulted(edge, on_edge(edge, Error(status=500))):
            assert edge.call()["status"] == 500
            assert edge.bystander_well()


def test_workers_that_live_for_one_call_are_hurt_too(tmp_path: Path) -> None:
    with scene("redirect", tmp_path, "--forks") as edge, faulted(edge, on_edge(edge, Error(status=500))):
        for _ in range(10):
            assert edge.bystander_well()
            assert edge.call()["status"] == 500


def test_a_helper_that_may_open_nothing_more_goes_on(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    with faulted(edge, held):
        pid = _helper(held).pid
        taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        free = next(number for number in range(1024) if number not in taken)
        try:
            for more in (1, 2, 3):  # for a connection, and perhaps not to ask whose it is, nor to carry it
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + more, limits[1]))
                edge.bystander.call(edge.direct)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert edge.call()["status"] == 500
        assert edge.bystander_well()


def test_a_caller_that_ended_meanwhile_leads_nobody_along(edge: Scene) -> None:
    system = edge.system()
    edge.caller.end()
    target = one_edge(system)
    with pytest.raises(UnavailableError, match="no process of a runs here any more"):
        behaviour("service.error").prepare(Error(), target, Context(system, "m1", str(edge.directory)))
    edge.caller = Caller("caller")


def test_a_caller_that_was_started_again_is_hurt_too(edge: Scene) -> None:
    with faulted(edge, on_edge(edge, Error(status=500))):
        assert edge.call()["status"] == 500
        edge.caller.end()
        edge.caller = Caller("caller")
        wait_until(lambda: edge.call()["status"] == 500)
        assert edge.bystander_well()


def test_every_instance_of_the_callee_is_meant(edge: Scene) -> None:
    with serving() as second:
        system = edge.system()
        callee = Service(name="b", instances=tuple(ProcessInstance(id=f"b-{p}", port=p) for p in (edge.direct, second)))
        system = System(name="s", services=(system.services[0], callee), dependencies=system.dependencies)
        with faulted(edge, Held(Error(status=500), one_edge(system), system, edge.directory)):
            assert edge.call()["status"] == 500
            assert edge.caller.call(second)["status"] == 500
            assert edge.bystander.call(second)["status"] == 200
        assert edge.caller.call(second)["status"] == 200


def test_a_bystander_keeps_its_connection(edge: Scene) -> None:
    before = edge.bystander.call(edge.direct, keep=True)["local"]
    with faulted(edge, on_edge(edge, DependencyFailure(mode="refuse"))):
        assert edge.bystander.call(edge.direct, keep=True)["local"] == before
        assert edge.bystander.call(edge.direct)["status"] == 200
    assert edge.bystander.call(edge.direct, keep=True)["local"] == before


def test_a_bystander_that_was_led_along_loses_no_call(edge: Scene) -> None:
    with faulted(edge, on_edge(edge, Error(status=500))):
        assert edge.bystander.call(edge.direct, keep=True)["status"] == 200
    assert edge.bystander.call(edge.direct, keep=True)["status"] == 200


def test_a_call_under_way_ends_well_when_the_fault_ends(edge: Scene) -> None:
    held = on_edge(edge, Latency(delay_ms=60_000))
    held.inject()
    edge.caller.begin(edge.port)
    edge.wait_for_connection()
    held.revert()
    assert edge.caller.outcome()["status"] == 200
    assert held.left_behind() == []


def test_without_renewal_it_ends_by_itself(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    held.inject(lease_s=2.0)
    assert edge.call()["status"] == 500
    wait_until(lambda: held.active() is False)
    wait_until(lambda: held.left_behind() == [Path(held.record["deadline"])])
    assert edge.well()
    held.revert()
    assert held.left_behind() == []


def test_renewal_pushes_it_on(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    held.inject(lease_s=3.0)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < 4.5:
            held.how.renew(held.record, 3.0)  # type: ignore[attr-defined]
            assert edge.call()["status"] == 500
    finally:
        held.revert()
    assert edge.well()


def test_a_helper_that_was_killed_lets_the_kernel_go_on_within_the_lease(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    held.inject(lease_s=3.0)
    _end_by_force(held)
    assert held.active() is True  # connections are still led to where nobody listens
    wait_until(lambda: held.active() is False, 10)
    assert edge.well()
    held.revert()
    assert held.left_behind() == []


def test_renewal_after_the_helper_was_killed_opens_the_way_at_once(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    held.inject()
    _end_by_force(held)
    with pytest.raises(FaultGoneError):
        held.how.renew(held.record, 60.0)  # type: ignore[attr-defined]
    assert held.active() is False
    assert edge.well()
    held.revert()
    assert held.left_behind() == []


def test_it_is_undone_after_the_helper_was_killed_or_stopped(edge: Scene) -> None:
    for mark, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
        held = on_edge(edge, Timeout(), mark=mark)
        held.inject()
        found = _helper(held)
        process.send(found.pid, found.start_ticks, number)
        held.revert()
        assert held.active() is False
        assert held.left_behind() == []
        assert edge.well()


_INJECT_AND_WAIT = """
import json, sys, time
from executor.faults.registry import behaviour
kind, record = sys.argv[1], json.loads(sys.argv[2])
behaviour(kind).inject(record, 600.0)
print("injected", flush=True)
time.sleep(600)
"""
_REVERT = """
import json, sys
from executor.faults.registry import behaviour
how, record = behaviour(sys.argv[1]), json.loads(sys.argv[2])
how.revert(record)
how.revert(record)
assert how.active(record) is False
assert "pydantic" not in sys.modules and "asyncio" not in sys.modules and "h11" not in sys.modules
"""


def _python(script: str, held: Held, **how: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, held.how.kind, json.dumps(held.record)]
    return subprocess.Popen(command, env=child.environment(), **how)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("way", ["managed", "redirect"])
def test_a_fresh_process_undoes_it_from_the_record_alone(way: str, tmp_path: Path) -> None:
    with scene(way, tmp_path) as edge:
        held = on_edge(edge, Error(status=500))
        held.inject()
        assert edge.call()["status"] == 500
        assert _python(_REVERT, held).wait(60) == 0
        assert held.active() is False
        assert edge.well()
        assert held.left_behind() == []


def test_it_goes_with_whoever_made_it(edge: Scene) -> None:
    held = on_edge(edge, Error(status=500))
    with _python(_INJECT_AND_WAIT, held, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"injected\n"
        assert edge.call()["status"] == 500
        holder.kill()
    wait_until(lambda: held.active() is False)
    wait_until(lambda: held.left_behind() == [Path(held.record["deadline"])])
    assert edge.well()
    held.revert()


def test_undoing_what_was_never_made_is_no_trouble(edge: Scene) -> None:
    held = on_edge(edge, Error())
    assert held.active() is False
    held.revert()
    assert held.left_behind() == []


def test_a_table_without_its_helper_is_undone(edge: Scene) -> None:
    held = on_edge(edge, Error())
    redirect.lead(nft.Table(held.record["table"]), [redirect.Way(edge.port, (), ())], 9, 60.0)
    assert held.active() is True
    assert edge.call()["error"] == "ConnectionRefusedError"
    held.revert()
    assert held.active() is False
    assert held.left_behind() == []
    assert edge.well()


def test_two_at_once_on_one_port_are_refused(edge: Scene) -> None:
    first, second = on_edge(edge, Error(status=500), mark="one"), on_edge(edge, Error(status=501), mark="two")
    first.inject()
    try:
        with pytest.raises(UnavailableError, match="redirects the same port"):
            second.inject()
        second.revert()
        assert is_struck(lambda: bool(edge.call()["status"] == 500), first)
    finally:
        first.revert()
    second.inject()
    assert edge.call()["status"] == 501
    second.revert()
    assert edge.well()


def test_ipv6_is_led_away_too(tmp_path: Path) -> None:
    """Here the caller is this process, and the callee answers on both kinds of address."""
    need_redirect()
    us = ProcessInstance(id="tests-1", pid=os.getpid(), start_ticks=own_ticks())
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        edge = Dependency(caller="a", callee="b", port=port, interception=KernelRedirect())
        services = (
            Service(name="a", instances=(us,)),
            Service(name="b", instances=(ProcessInstance(id="b-1", port=port),)),
        )
        system = System(name="s", services=services, dependencies=(edge,))
        held = Held(Reset(), one_edge(system), system, tmp_path)
        with socket.create_connection(("::1", port), timeout=20) as before:
            held.inject()
            try:
                with pytest.raises(ConnectionResetError):
                    before.recv(1)
                for address in ("::1", "127.0.0.1"):
                    with socket.create_connection((address, port), timeout=20) as after:
                        after.sendall(b"1")
                        with pytest.raises(ConnectionResetError):
                            after.recv(1)
            finally:
                held.revert()
        assert held.left_behind() == []


def _to(callee: ProcessInstance, host: str = "127.0.0.1") -> System:
    """This process calls a process."""
    us = ProcessInstance(id="tests-1", pid=os.getpid(), start_ticks=own_ticks())
    edge = Dependency(caller="a", callee="b", host=host, port=callee.port, interception=KernelRedirect())
    services = (Service(name="a", instances=(us,)), Service(name="b", instances=(callee,)))
    return System(name="s", services=services, dependencies=(edge,))


def test_another_with_the_same_port_is_a_bystander(tmp_path: Path) -> None:
    need_redirect()
    with echoes("callee") as (callee,), echoes("other", address="127.0.0.77", port=callee.port) as (other,):
        for instance in (callee.instance, ProcessInstance(id="b-1", port=callee.port)):  # pinned, and one of two
            system = _to(instance)
            held = Held(Reset(), one_edge(system), system, tmp_path)
            with callee.connect() as cut, other.connect() as kept:
                held.inject()
                try:
                    with pytest.raises(ConnectionResetError):
                        cut.recv(1)
                    with pytest.raises(ConnectionResetError):
                        callee.echoes()
                    kept.sendall(b"x")
                    assert kept.recv(1) == b"x"
                    assert other.echoes()
                finally:
                    held.revert()
            assert callee.echoes()
            assert held.left_behind() == []


@pytest.mark.parametrize(
    ("listens", "others", "at"),
    [
        (["127.0.0.1"], ["127.0.0.77", "::1"], ["127.0.0.1"]),
        (["127.0.0.1", "::1"], ["127.0.0.77"], ["127.0.0.1", "::1"]),
        (["0.0.0.0"], ["127.0.0.77", "::1"], ["0.0.0.0"]),
        (["::"], ["0.0.0.0"], ["::"]),
    ],
)
def test_an_edge_leads_where_its_callee_listens(listens: list[str], others: list[str], at: list[str]) -> None:
    port = free_port()
    with listener(port, *listens) as callee, listener(port, *others):
        system = _to(ProcessInstance(id="b-1", pid=callee.pid, start_ticks=callee.start_ticks, port=port))
        (way,) = ways(system.dependencies[0], (), system)
        assert way["addresses"] == at
        assert set(way["but"]) == set(others) - {"0.0.0.0"}


def test_a_host_without_an_address_is_told() -> None:
    need_redirect()
    system = _to(ProcessInstance(id="b-1", port=free_port()), host="nowhere.invalid")
    why = behaviour("network.reset").unsupported(Reset(), one_edge(system))
    assert "a->b: nowhere.invalid has no address" in str(why)


def test_a_caller_that_is_not_there_cannot_be_told_apart(edge: Scene) -> None:
    edge.caller.end()
    system = edge.system()
    why = behaviour("service.error").unsupported(Error(), one_edge(system))
    assert "no process of a runs" in str(why)
    edge.caller = Caller("caller")


def test_nothing_left_in_the_kernel() -> None:
    need_redirect()
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if line.endswith(f"_{os.getpid()}")] == []
