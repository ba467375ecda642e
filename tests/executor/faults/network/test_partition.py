"""network.partition between groups, in either direction, over edges that are reached in different ways."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from executor.drivers.resolve import resolve
from executor.drivers.targets import EdgeTargets
from executor.errors import UnavailableError
from executor.faults.registry import behaviour
from executor.model.faults.network import Partition
from executor.model.plan import GroupsTarget
from executor.model.system import Dependency, ManagedProxy, System
from executor.proxy import edges as proxies
from tests.executor.faults.edge_kit import RESET, WAYS, Held, Scene, faulted, scene
from tests.executor.proxy.servers import wait_until


def _system(edge: Scene) -> System:
    """``a`` calls ``b``; ``b`` calls ``a`` over the edge that the proxy calls ``a->c``, or not at all."""
    system = edge.system()
    if edge.managed is None:
        return system
    back = Dependency(
        caller="b",
        callee="a",
        port=edge.direct,
        interception=ManagedProxy(control=edge.managed.control, edge="a->c"),
    )
    return System(name="s", services=system.services, dependencies=(*system.dependencies, back))


def _target(system: System, a: str, b: str) -> EdgeTargets:
    (target,) = resolve(GroupsTarget(a=(a,), b=(b,)), system)
    assert isinstance(target, EdgeTargets)
    return target


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["drop", "reject"])
def test_the_groups_are_parted(way: str, tmp_path: Path, how: str) -> None:
    with scene(way, tmp_path) as edge:
        system = _system(edge)
        fault = Partition(how=how)  # type: ignore[arg-type]
        with faulted(edge, Held(fault, _target(system, "b", "a"), system, tmp_path)):
            outcomes = [edge.call(timeout_s=0.3)["error"]]
            if edge.managed:
                outcomes.append(edge.caller.call(edge.managed.tcp, timeout_s=0.3)["error"])
            assert all(error == "TimeoutError" if how == "drop" else error in RESET for error in outcomes)
            assert edge.bystander_well()


def test_one_way_leaves_the_other(tmp_path: Path) -> None:
    with scene("managed", tmp_path) as edge:
        assert edge.managed
        system = _system(edge)
        fault = Partition(direction="a_to_b", how="reject")
        with faulted(edge, Held(fault, _target(system, "a", "b"), system, tmp_path)):
            assert edge.call()["error"] in RESET
            assert edge.caller.call(edge.managed.tcp)["status"] == 200


def test_what_cannot_be_parted_says_why(tmp_path: Path) -> None:
    with scene("managed", tmp_path) as edge:
        system = edge.system()
        how = behaviour("network.partition")
        one_way = Partition(direction="a_to_b")
        assert "no edge in that direction" in str(how.unsupported(one_way, _target(system, "b", "a")))
        bare = Dependency(caller="a", callee="b", port=edge.direct)
        blind = System(name="s", services=system.services, dependencies=(bare,))
        assert "put murphy proxy on the edge" in str(how.unsupported(Partition(), _target(blind, "a", "b")))
        assert edge.managed
        edge.managed.stop()
        assert "no fault proxy answers" in str(how.unsupported(Partition(), _target(system, "a", "b")))


def test_what_was_made_on_some_edges_only_is_undone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with scene("managed", tmp_path) as edge, scene("managed", tmp_path / "other") as second:
        assert edge.managed
        assert second.managed
        system = _system(edge)
        broken = ManagedProxy(control=second.managed.control, edge="a->b")
        edges = (system.dependencies[0], Dependency(caller="b", callee="a", port=1, interception=broken))
        system = System(name="s", services=system.services, dependencies=edges)
        held = Held(Partition(how="reject"), _target(system, "a", "b"), system, tmp_path)
        second.managed.stop()
        with pytest.raises(UnavailableError, match="no fault proxy answers"):
            held.inject()
        assert held.active() is True
        assert edge.call()["error"] in RESET
        held.revert()
        assert held.active() is False
        assert edge.well()


def test_a_proxy_that_stands_still_leaves_the_revert_owed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "ANSWER_S", 0.2)
    with scene("managed", tmp_path) as edge:
        assert edge.managed
        system = edge.system()
        held = Held(Partition(how="reject"), _target(system, "a", "b"), system, tmp_path)
        held.inject()
        edge.managed.process.send_signal(signal.SIGSTOP)
        assert held.active() is None
        with pytest.raises(UnavailableError, match="does not answer"):
            held.revert()
        edge.managed.process.send_signal(signal.SIGCONT)
        wait_until(lambda: held.active() is False)
        held.revert()
        assert edge.well()


def test_a_dead_proxy_took_the_fault_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with scene("managed", tmp_path) as edge:
        assert edge.managed
        system = edge.system()
        held = Held(Partition(), _target(system, "a", "b"), system, tmp_path)
        held.inject()
        edge.managed.process.kill()
        edge.managed.process.wait()
        assert held.active() is False
        held.revert()
        assert "Its faults went with it" in caplog.text
        edge.managed.start()
        assert held.active() is False
        assert edge.well()
