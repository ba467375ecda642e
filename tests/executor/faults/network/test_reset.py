"""network.reset on HTTP and byte edges, through a managed proxy and through the kernel's redirect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor.model.faults.network import Reset
from tests.executor.faults.edge_kit import BODY, RESET, WAYS, Scene, faulted, is_struck, on_edge, scene


@pytest.fixture(scope="module", params=WAYS)
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(request.param, tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_calls_are_cut_and_nobody_elses(edge: Scene, protocol: str) -> None:
    held = on_edge(edge, Reset(), protocol=protocol, mark=f"cut-{protocol}")
    port = edge.managed.tcp if edge.managed and protocol == "tcp" else edge.port
    with faulted(edge, held):
        for keep in (False, True, False):
            assert is_struck(lambda keep=keep: edge.caller.call(port, keep=keep)["error"] in RESET, held)  # type: ignore[misc]
        assert edge.bystander_well()


def test_an_answer_is_cut_in_the_middle(edge: Scene) -> None:
    with faulted(edge, on_edge(edge, Reset(after_bytes=1000), mark="middle")):
        call = edge.call()
        assert call["error"] in (*RESET, "IncompleteRead")
        assert len(call["body"]) < len(BODY)


def test_as_often_as_asked(edge: Scene) -> None:
    calls, probability = 150, 0.5
    with faulted(edge, on_edge(edge, Reset(probability=probability), mark="often")):
        struck = sum(bool(edge.call()["error"]) for _ in range(calls))
    assert abs(struck - calls * probability) < 4 * (calls * probability * (1 - probability)) ** 0.5
