"""network.duplicate_reorder where the kernel has no netem, and what is asked of one that has."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.network.duplicate_reorder import emulation
from executor.faults.registry import behaviour
from executor.kernel import netem
from executor.model.faults.network import DuplicateReorder
from executor.model.system import System
from executor.state.home import Home
from executor.undo.sweep import sweep
from tests.executor.faults.net_kit import Echo, echoes, nets, no_networks
from tests.missing import missing

pytestmark = pytest.mark.root
HOW = behaviour("network.duplicate_reorder")
LACKING = netem.unusable()


@pytest.fixture(autouse=True)
def need_networks() -> None:
    if why := no_networks():
        missing(why)


@pytest.fixture
def with_netem() -> None:
    if LACKING:
        missing(LACKING, there_in="MURPHY_VM")


def test_a_kernel_without_it_is_told_with_what_to_do() -> None:
    with echoes("struck") as (server,):
        why = why_not(HOW, DuplicateReorder(), server.target)
        assert why == LACKING
        if why:
            assert "sch_netem" in why
            assert "load these modules" in why


def test_what_netem_is_asked_for() -> None:
    assert emulation(DuplicateReorder(duplicate_percent=5, reorder_percent=0)) == "duplicate 5%"
    both = DuplicateReorder(duplicate_percent=0, reorder_percent=2.5, delay_ms=30)
    assert emulation(both) == "delay 30ms reorder 2.5% duplicate 0%"


def test_a_queue_of_somebody_else_is_left_alone() -> None:
    with nets() as (net,), echoes("struck", net=net) as (server,):
        queue = ("root", "handle", "1:", "tbf", "rate", "80mbit", "burst", "100000", "latency", "100ms")
        tc(net.name, "add", "dev", "eth0", *queue)
        place = {"net": net.number, "addresses": [], "reach": {"tcp": [["0.0.0.0"], ["127.0.0.9"]]}}
        with pytest.raises(UnavailableError, match="device eth0 has a queue that somebody has set up"):
            netem.reach(place)
        tc(net.name, "del", "dev", "eth0", "root")
        found = netem.reach(place)
        assert sorted(found["devices"]) == ["eth0", "lo"]
        networks = {ipaddress.ip_network(network) for protocol, network in found["ends"] if protocol == "tcp"}
        for address, struck in ((net.inside, True), ("127.0.0.8", True), ("127.0.0.9", False), ("127.9.9.9", True)):
            assert any(ipaddress.ip_address(address) in network for network in networks) is struck
        reach = {"udp": [["127.0.0.1"], []]}
        found = netem.reach({"net": net.number, "addresses": ["127.0.0.1"], "reach": reach})
        assert found == {"devices": ["lo"], "ends": [["udp", "127.0.0.1/32"]]}
        assert netem.left(net.number) == set()
        assert server.echoes()


def test_what_is_not_there_can_be_removed() -> None:
    with nets() as (net,):
        number = net.number
        netem.remove(number, "4d00:")
    netem.remove(number, "4d00:")


def tc(net: str, *words: str) -> None:
    subprocess.run(["tc", "-n", net, "qdisc", *words], check=True)


@pytest.mark.usefixtures("with_netem")
def test_in_a_network_of_its_own_and_found_by_a_sweep(tmp_path: Path, home: Home) -> None:
    with nets() as (net,), echoes("struck", net=net) as (server,):
        record = injected(server, tmp_path)
        assert HOW.active(record) is True
        assert netem.left(net.number) == {record["handle"]}
        said = [(one.outcome, one.text) for one in sweep(home) if record["handle"] in one.text]
        assert said == [("done", f"removed: queue {record['handle']} in network namespace {net.number}")]
        assert HOW.active(record) is False
        HOW.revert(record)


@pytest.mark.usefixtures("with_netem")
def test_with_its_network_it_is_gone(tmp_path: Path) -> None:
    with nets() as (net,), echoes("struck", net=net) as (server,):
        record = injected(server, tmp_path)
    assert HOW.active(record) is False
    HOW.revert(record)


def injected(server: Echo, scratch: Path) -> dict[str, object]:
    context = Context(System(name="s", services=(server.service,)), f"murphy-netem-{os.getpid()}", str(scratch))
    record: dict[str, object] = json.loads(json.dumps(HOW.prepare(DuplicateReorder(), server.target, context)))
    HOW.inject(record, 60.0)
    return record
