"""network.latency on HTTP and byte edges, through a managed proxy and through the kernel's redirect."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator

import pytest

from executor.model.faults.network import Latency
from tests.executor.faults.edge_kit import WAYS, Scene, faulted, on_edge, scene
from tests.executor.kit import until


@pytest.fixture(scope="module", params=WAYS)
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(request.param, tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_each_call_is_late_and_nobody_elses(edge: Scene, protocol: str) -> None:
    assert edge.well()
    held = on_edge(edge, Latency(delay_ms=200), protocol=protocol, mark=f"late-{protocol}")
    port = edge.managed.tcp if edge.managed and protocol == "tcp" else edge.port
    before = edge.caller.call(port, keep=True)
    with faulted(edge, held):
        late = [edge.caller.call(port, keep=keep) for keep in (True, True, False)]
        assert {call["status"] for call in (before, *late)} == {200}
        assert min(call["s"] for call in late) >= 0.2
        assert min(edge.bystander.call(edge.direct)["s"] for _ in range(5)) < 0.2


def test_jitter_spreads_evenly_around_the_delay(edge: Scene) -> None:
    with faulted(edge, on_edge(edge, Latency(delay_ms=50, jitter_ms=40), mark="jitter")):
        late = [edge.call(keep=True)["s"] for _ in range(40)]
    assert min(late) >= 0.010
    assert min(late) < 0.045
    assert statistics.pstdev(late) > 0.008


def test_a_run_is_told_how_many_were_late_and_how_late(edge: Scene) -> None:
    """The bystander's are not among them."""
    held = on_edge(edge, Latency(delay_ms=50), mark="told")
    with faulted(edge, held):
        for _ in range(7):
            edge.call(keep=True)
            edge.bystander.call(edge.direct)
        asked = "a->b: all requests asked, 7 of 7 struck; 50 ms late asked, "
        until(lambda: held.told().startswith(asked))
        late = re.fullmatch("([0-9]+) ms in the mean", held.told().removeprefix(asked))
        assert late
        assert int(late[1]) >= 50
    assert held.told() == "", "it is gone, and with it what was counted"
