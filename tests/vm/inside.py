"""What netem does in the machine of ``make test-vm`` with the commands that Murphy gives: loss and delay.

That packets come twice or out of order, and what befalls volumes and cgroups, is in the contract suite, which runs
there too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import pytest

from executor.kernel import cgroup, netem, netns
from tests.executor.faults.net_kit import PACKETS, Echo, echoes, likely

HANDLE = netem.handle_of("murphy-inside")


@pytest.fixture
def servers() -> Iterator[tuple[Echo, Echo]]:
    with echoes("struck", "bystander") as (struck, bystander):
        yield struck, bystander
        net = netns.of(struck.target.pid, struck.target.start_ticks)
        netem.remove(net, HANDLE)
        assert netem.standing(net, HANDLE) == []
        assert len(struck.order(PACKETS)) == PACKETS


def strike(server: Echo, emulation: str) -> None:
    place = netns.listening(server.target.pid, server.target.start_ticks, server.port)
    netem.put({**place, **netem.reach(place), "handle": HANDLE, "emulation": emulation})


@pytest.mark.parametrize("controller", ["cpu", "io", "memory", "pids"])
def test_cgroups_are_of_version_2(controller: str) -> None:
    """So that what the contract suite says of limits here, it says of these."""
    assert cgroup.hierarchy(controller).version == 2


def test_loss(servers: tuple[Echo, Echo]) -> None:
    struck, bystander = servers
    strike(struck, "loss 20%")
    lost = PACKETS - len(struck.order(PACKETS))
    print(f"20 % asked, {100 * lost / PACKETS:.1f} % of {PACKETS} packets lost")
    assert likely(lost, PACKETS, 0.2)
    assert len(bystander.order(PACKETS)) == PACKETS


def test_delay(servers: tuple[Echo, Echo]) -> None:
    """Loopback is passed both ways, so a round trip has it twice."""
    struck, bystander = servers
    strike(struck, "delay 50ms")
    took = {server.name: _round_trip_ms(server) for server in servers}
    print(f"50 ms each way asked, {took[struck.name]:.1f} ms there and back; beside it {took[bystander.name]:.1f} ms")
    assert took[struck.name] >= 100
    assert took[bystander.name] < took[struck.name] / 2


def _round_trip_ms(server: Echo) -> float:
    took = []
    with server.connect() as line:
        for _ in range(9):
            begun = time.monotonic()
            line.sendall(b"x")
            line.recv(1)
            took.append((time.monotonic() - begun) * 1000)
    return median(took)
