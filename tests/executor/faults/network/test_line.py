"""network.bandwidth and network.corruption on HTTP and byte edges, by a managed proxy and by the kernel's redirect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor.model.faults.network import Bandwidth, Corruption
from tests.executor.faults.edge_kit import BODY, WAYS, Scene, faulted, on_edge, scene
from tests.executor.proxy.servers import wait_until

BYTES_PER_S = 16_000
SOONEST_S = len(BODY) / BYTES_PER_S


@pytest.fixture(scope="module", params=WAYS)
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(request.param, tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_an_answer_takes_the_time_that_its_bytes_need(edge: Scene, protocol: str) -> None:
    port = edge.managed.tcp if edge.managed and protocol == "tcp" else edge.port
    narrow = Bandwidth(rate_kbps=BYTES_PER_S / 125, burst_bytes=0)
    with faulted(edge, on_edge(edge, narrow, protocol=protocol, mark=f"narrow-{protocol}")):
        late = [edge.caller.call(port, keep=keep) for keep in (True, False)]
        assert {call["status"] for call in late} == {200}
        assert {call["body"] for call in late} == {BODY.decode()}
        assert min(call["s"] for call in late) >= SOONEST_S
        assert min(edge.bystander.call(edge.direct)["s"] for _ in range(5)) < SOONEST_S


def test_calls_alone_are_narrowed(edge: Scene) -> None:
    with faulted(edge, on_edge(edge, Bandwidth(rate_kbps=1, burst_bytes=1000, direction="calls"), mark="calls")):
        assert min(edge.call()["s"] for _ in range(5)) < SOONEST_S


def test_what_waits_goes_on_when_the_fault_ends(edge: Scene) -> None:
    held = on_edge(edge, Bandwidth(rate_kbps=1, burst_bytes=0, direction="answers"), mark="waits")
    held.inject()
    edge.caller.begin(edge.port)
    edge.wait_for_connection()
    held.revert()
    assert edge.caller.outcome()["body"] == BODY.decode()
    wait_until(edge.well)


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_damaged_answers_come_at_once_and_to_nobody_else(edge: Scene, protocol: str) -> None:
    port = edge.managed.tcp if edge.managed and protocol == "tcp" else edge.port
    bad = Corruption(percent=100, direction="answers")
    with faulted(edge, on_edge(edge, bad, protocol=protocol, mark=f"bad-{protocol}")):
        # a short time-out: the length of the answer may be among what is damaged
        got = [edge.caller.call(port, timeout_s=0.3) for _ in range(4)]
        assert not any(call["status"] == 200 and call["body"] == BODY.decode() for call in got)
        assert edge.bystander_well()
