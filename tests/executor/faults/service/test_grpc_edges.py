"""Faults on a gRPC edge as the executor makes them, beyond what the contract suite sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.targets import EdgeTargets
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.network import Latency
from executor.model.faults.service import CorruptResponse, DependencyFailure, Error, Timeout
from executor.model.system import ManagedProxy, System
from executor.proxy import edges
from tests.executor.faults.cases.grpc import GrpcSubject
from tests.executor.faults.edge_kit import WAYS, Held, need_redirect
from tests.executor.kit import until
from tests.executor.proxy.grpc_kit import OTHER, UNARY
from tests.missing import not_meant

CALLS = 8_000
"""More than are made in the time in which the proxy waits for connections to be idle."""


@pytest.fixture(scope="module", params=WAYS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcSubject]:
    if request.param == "redirect":
        need_redirect()
    made = GrpcSubject(tmp_path_factory.mktemp("grpc"), Error(grpc_status="UNAVAILABLE"), request.param)
    yield made
    made.end()


@pytest.fixture
def on(subject: GrpcSubject, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Puts a fault on the edge; it is taken away again at the end, and all is well then."""
    held: list[Held] = []

    def put(fault: FaultSpec) -> Held:
        until(subject.normal)
        mark = f"g{abs(hash(request.node.name)) % 10**8}"
        held.append(Held(fault, subject.resolved(), subject.system, tmp_path, mark))
        held[-1].inject()
        return held[-1]

    yield put
    for one in held:
        one.revert()
        assert one.active() is False
        assert one.left_behind() == []
    until(subject.normal)


def _codes(subject: GrpcSubject, **how: Any) -> list[str]:
    return list(subject.caller.call(subject.port, **how)["codes"])


def test_a_dependency_that_answers_503_is_unavailable(subject: GrpcSubject, on: Any) -> None:
    on(DependencyFailure(mode="error"))
    until(lambda: _codes(subject, times=3) == ["UNAVAILABLE"])
    assert _codes(subject, path="/demo.Echo/Chat") == ["UNAVAILABLE"]
    said = subject.bystander.call(subject.callee.port, times=10)
    assert (said["codes"], said["right"]) == ({"OK": 10}, 10), said


def test_a_dependency_that_is_slow(subject: GrpcSubject, on: Any) -> None:
    on(DependencyFailure(mode="slow", delay_ms=300))
    _slow(subject, 0.3)


@pytest.mark.parametrize("mode", ["refuse", "blackhole"])
def test_a_dependency_that_is_not_there(subject: GrpcSubject, on: Any, mode: Any) -> None:
    on(DependencyFailure(mode=mode))
    wanted = "UNAVAILABLE" if mode == "refuse" else "DEADLINE_EXCEEDED"
    until(lambda: _codes(subject, timeout_s=0.5) == [wanted])  # one that was open before is cut first
    said = subject.bystander.call(subject.callee.port, times=10)
    assert (said["codes"], said["right"]) == ({"OK": 10}, 10), said


def test_one_method_times_out(subject: GrpcSubject, on: Any) -> None:
    on(Timeout(path=UNARY))
    until(lambda: _codes(subject, timeout_s=0.4) == ["DEADLINE_EXCEEDED"])
    assert _codes(subject, path=OTHER, times=5) == ["OK"]


def test_one_methods_answers_stand_still(subject: GrpcSubject, on: Any) -> None:
    on(Timeout(path=UNARY, after_bytes=50))
    until(lambda: _codes(subject, timeout_s=0.4) == ["DEADLINE_EXCEEDED"])
    seen = subject.callee.seen()[UNARY]
    assert _codes(subject, timeout_s=0.4) == ["DEADLINE_EXCEEDED"]
    assert subject.callee.seen()[UNARY] == seen + 1, "the callee is asked"
    assert _codes(subject, size=40, times=5) == ["OK"]
    assert _codes(subject, path=OTHER, times=5) == ["OK"]


def test_latency_is_each_calls(subject: GrpcSubject, on: Any) -> None:
    on(Latency(delay_ms=250))
    _slow(subject, 0.25)


def _slow(subject: GrpcSubject, by_s: float) -> None:
    until(lambda: _codes(subject) == ["OK"])  # a connection that was open before is cut first
    said = subject.caller.call(subject.port, times=6, at_once=3)
    assert (said["codes"], said["right"]) == ({"OK": 6}, 6)
    assert said["least_s"] >= by_s


def test_a_bystander_that_was_led_along_loses_no_call(subject: GrpcSubject, on: Any) -> None:
    """Its calls go on while the fault comes, is there, and goes."""
    held = on(Error(grpc_status="UNAVAILABLE"))
    channel = f"after-{held.record['mark']}"  # a connection that is made while the fault is there
    assert subject.bystander.well(subject.callee.port, channel=channel)
    subject.bystander.begin(subject.callee.port, times=CALLS, at_once=16, channel=channel)
    until(lambda: _codes(subject) == ["UNAVAILABLE"])
    held.revert()
    said = subject.bystander.answer()
    assert (said["codes"], said["right"]) == ({"OK": CALLS}, CALLS)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (CorruptResponse(), "truncate needs an edge that speaks http, not grpc"),
        (Error(method="GET"), "every gRPC call is a POST, so method GET would strike none"),
    ],
    ids=["damage", "method"],
)
def test_what_grpc_has_not_is_refused_in_one_sentence(subject: GrpcSubject, fault: Any, why: str) -> None:
    said = behaviour(fault.kind).unsupported(fault, subject.resolved())
    assert said is not None
    assert why in said


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_status_of_grpc_needs_such_an_edge(subject: GrpcSubject, protocol: str) -> None:
    said = behaviour("service.error").unsupported(Error(grpc_status="ABORTED"), _speaking(subject, protocol))
    assert said is not None
    assert f"grpc_status ABORTED needs an edge that speaks grpc, not {protocol}" in said


def test_a_proxy_that_was_not_told_of_grpc_says_where_to_tell_it(subject: GrpcSubject) -> None:
    if subject.managed is None:
        not_meant("no proxy that could have been told something else")
    said = behaviour("service.error").unsupported(Error(grpc_status="ABORTED"), _speaking(subject, "grpc", edge="a->c"))
    assert said is not None
    assert said.endswith("let the proxy's configuration say that this edge's protocol is grpc.")


def _speaking(subject: GrpcSubject, protocol: str, edge: str = "") -> EdgeTargets:
    """The edge, said to speak something else, through an edge of the proxy that does."""
    data = subject.system.model_dump()
    data["dependencies"][0]["protocol"] = protocol
    if subject.managed:
        edge = edge or {"http": "a->b", "tcp": "a->c"}[protocol]
        data["dependencies"][0]["interception"] = ManagedProxy(control=subject.managed.control, edge=edge).model_dump()
    target = GrpcSubject.resolved_in(System(**data))
    assert isinstance(target, EdgeTargets)
    return target


def test_calls_are_counted(subject: GrpcSubject) -> None:
    counted = [edges.count_calls(subject.system.dependencies[0])]
    assert subject.caller.well(subject.port, times=7)
    counted.append(edges.count_calls(subject.system.dependencies[0]))
    assert counted == [None, None] if subject.managed is None else counted[1] - counted[0] == 7  # type: ignore[operator]


def test_one_status_is_enough() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Error(status=503, grpc_status="UNAVAILABLE")
    assert Error(**Error(grpc_status="UNAVAILABLE").model_dump()).grpc_status == "UNAVAILABLE"
