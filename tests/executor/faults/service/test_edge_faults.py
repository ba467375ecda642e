"""Faults of the service layer on one caller's edge, through a managed proxy and through the kernel's redirect."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.faults.registry import behaviour
from executor.model.faults.service import CorruptResponse, DependencyFailure, Error, Timeout
from tests.executor.faults.edge_kit import BODY, RESET, WAYS, Scene, faulted, on_edge, one_edge, scene


@pytest.fixture(scope="module", params=WAYS)
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(request.param, tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    return f"t{zlib.crc32(request.node.nodeid.encode()):x}"


def test_error_answers_for_the_callee_and_hurts_only_what_is_meant(edge: Scene, mark: str) -> None:
    fault = Error(status=502, method="GET", path="/items/*")
    with faulted(edge, on_edge(edge, fault, mark=mark)):
        assert edge.call(path="/items/7?a=b")["status"] == 502
        assert edge.call(path="/items/7", keep=True)["status"] == 502
        assert edge.call(path="/other")["status"] == 200
        assert edge.call(path="/items/7", method="POST")["status"] == 200
        assert edge.bystander.call(edge.direct, path="/items/7")["status"] == 200


def test_error_strikes_a_connection_that_was_open_before(edge: Scene, mark: str) -> None:
    assert edge.call(keep=True)["status"] == 200
    with faulted(edge, on_edge(edge, Error(status=500), mark=mark)):
        assert [edge.call(keep=True)["status"] for _ in range(3)] == [500] * 3


def test_error_comes_as_often_as_asked(edge: Scene, mark: str) -> None:
    calls, probability = 400, 0.3
    with faulted(edge, on_edge(edge, Error(status=503, probability=probability), mark=mark)):
        struck = sum(edge.call(keep=True)["status"] == 503 for _ in range(calls))
    spread = 4 * (calls * probability * (1 - probability)) ** 0.5
    assert abs(struck - calls * probability) < spread


def test_timeout_never_answers(edge: Scene, mark: str) -> None:
    with faulted(edge, on_edge(edge, Timeout(path="/slow"), mark=mark)):
        assert edge.call(path="/slow", timeout_s=0.3)["error"] == "TimeoutError"
        assert edge.call(path="/fast")["status"] == 200
        assert edge.bystander.call(edge.direct, path="/slow")["status"] == 200


def test_timeout_in_the_middle_of_an_answer(edge: Scene, mark: str) -> None:
    begun = edge.callee_requests()
    with faulted(edge, on_edge(edge, Timeout(path="/slow", after_bytes=100), mark=mark)):
        struck = edge.call(path="/slow", timeout_s=0.3)
        assert (struck["status"], struck["type"], struck["error"]) == (200, "application/json", "TimeoutError")
        assert edge.callee_requests() - begun == 2  # one before the fault, and this one
        assert edge.call(path="/fast")["status"] == 200
        assert edge.bystander.call(edge.direct, path="/slow")["status"] == 200
    with faulted(edge, on_edge(edge, Timeout(after_bytes=len(BODY)), mark=f"{mark}-2")):
        assert edge.well(), "an answer that is no longer is struck"


def test_whoever_waits_when_the_fault_ends_is_cut_off(edge: Scene, mark: str) -> None:
    held = on_edge(edge, Timeout(), mark=mark)
    held.inject()
    begun = edge.callee_requests()
    edge.caller.begin(edge.port, path="/slow")
    edge.wait_for_connection()
    held.revert()
    assert edge.caller.outcome()["error"] in RESET
    assert edge.callee_requests() == begun
    assert edge.well()


def _damaged(call: dict[str, Any], how: str) -> bool:
    if how == "truncate":
        return bool(call["error"] == "IncompleteRead")
    if how == "empty":
        return call["status"] == 200 and call["body"] == ""
    if how == "wrong_content_type":
        return call["type"] == "text/html" and call["body"] == BODY.decode()
    return len(call["body"]) == len(BODY) and call["body"] != BODY.decode()


@pytest.mark.parametrize("how", ["truncate", "bit_flip", "empty", "wrong_content_type"])
def test_corrupt_response_damages_the_answer(edge: Scene, mark: str, how: Any) -> None:
    with faulted(edge, on_edge(edge, CorruptResponse(how=how), mark=mark)):
        assert _damaged(edge.call(), how)
        assert edge.bystander_well()


def test_dependency_failure_refuses(edge: Scene, mark: str) -> None:
    with faulted(edge, on_edge(edge, DependencyFailure(mode="refuse"), mark=mark)):
        assert edge.call()["error"] in RESET
        assert edge.bystander_well()


def test_dependency_failure_swallows(edge: Scene, mark: str) -> None:
    with faulted(edge, on_edge(edge, DependencyFailure(mode="blackhole"), mark=mark)):
        assert edge.call(timeout_s=0.3)["error"] == "TimeoutError"
        assert edge.bystander_well()


def test_dependency_failure_answers_503(edge: Scene, mark: str) -> None:
    with faulted(edge, on_edge(edge, DependencyFailure(mode="error"), mark=mark)):
        assert edge.call()["status"] == 503


def test_dependency_failure_is_slow(edge: Scene, mark: str) -> None:
    with faulted(edge, on_edge(edge, DependencyFailure(mode="slow", delay_ms=300), mark=mark)):
        late = edge.call()
        assert late["status"] == 200
        assert late["s"] >= 0.3


@pytest.mark.parametrize(
    "fault", [Error(), CorruptResponse(), DependencyFailure(mode="error"), Timeout(path="/x")], ids=lambda f: f.kind
)
def test_what_needs_http_says_so_on_other_edges(edge: Scene, fault: Any) -> None:
    why = behaviour(fault.kind).unsupported(fault, one_edge(edge.system("tcp")))
    assert why is not None
    assert "http" in why


def test_the_directory_holds_nothing_of_the_faults(edge: Scene) -> None:
    assert {path.suffix for path in Path(edge.directory).iterdir()} <= {".sock", ".json", ".log"}
