"""network.saturation: what it does to a way of a known width, and where it cannot be sent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults.network import Saturation
from executor.model.system import System
from tests.executor.faults.net_kit import Echo, echoes, listener, nets, no_networks
from tests.executor.kit import free_port, until
from tests.missing import missing

pytestmark = pytest.mark.root
HOW = behaviour("network.saturation")


@pytest.fixture(autouse=True)
def need_networks() -> None:
    if why := no_networks():
        missing(why)


def arrived(server: Echo) -> int:
    """How many of a hundred datagrams, one after another, arrive."""
    return sum(server.exchange(1)[0] for _ in range(100))


def test_a_narrow_way_is_full(tmp_path: Path) -> None:
    with nets() as (net,), echoes("struck", net=net) as (server,):
        width = ("rate", "8mbit", "burst", "4000", "limit", "10000")
        subprocess.run(["tc", "qdisc", "add", "dev", net.cable, "root", "tbf", *width], check=True)
        assert arrived(server) == 100
        context = Context(System(name="s", services=(server.service,)), f"murphy-full-{os.getpid()}", str(tmp_path))
        record = json.loads(json.dumps(HOW.prepare(Saturation(rate_mbps=24), server.target, context)))
        assert record["address"] == net.inside
        HOW.inject(record, 60.0)
        try:
            until(lambda: arrived(server) < 90)
            assert server.echoes(timeout_s=60), "a stream gets through"
        finally:
            HOW.revert(record)
        until(lambda: arrived(server) == 100)


def test_a_listener_that_only_its_own_network_reaches_is_refused() -> None:
    with nets() as (net,), closing(Echo("struck", net=net, at="127.0.0.1")) as server:
        assert "no address of it can be reached" in str(why_not(HOW, Saturation(rate_mbps=1), server.target))


def test_datagrams_that_another_process_would_get_are_not_sent() -> None:
    port = free_port()
    with listener(port, "127.0.0.1") as target, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", port))
        why = str(why_not(HOW, Saturation(rate_mbps=1), target))
        assert f"another process takes datagrams at port {port}" in why
