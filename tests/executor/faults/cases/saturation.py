"""A way that is filled: a cable to a server in a network of its own, and another cable beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.targets import ProcessTarget
from executor.model.faults.network import Saturation
from executor.model.system import System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.net_kit import Echo, echoes, nets, no_networks

RATE_MBPS = 16


class CableSubject:
    """What passes over the cable is counted by the kernel."""

    def __init__(self, struck: Echo, bystander: Echo) -> None:
        self.struck, self.bystander = struck, bystander
        self.system = System(name="cables", services=(struck.service, bystander.service))

    def resolved(self) -> ProcessTarget:
        return self.struck.target

    def normal(self) -> bool:
        return _quiet(self.struck)

    def faulted(self) -> bool:
        return not _quiet(self.struck) and self.struck.echoes()

    def unharmed(self) -> bool:
        return _quiet(self.bystander)

    def size(self) -> str:
        assert self.struck.net
        before, began = self.struck.net.sent_bytes(), time.monotonic()
        time.sleep(0.5)
        sent, took_s = self.struck.net.sent_bytes() - before, time.monotonic() - began
        got = sent / 125_000 / took_s
        # Ethernet adds 14 bytes to each, and what was late may be made up for; a busy machine may send less.
        assert 0.25 * RATE_MBPS < got < 1.15 * RATE_MBPS, got
        return f"{RATE_MBPS} Mbit/s asked, {got:.1f} Mbit/s counted on the cable"

    def state(self) -> Any:
        return {"descriptors": self.struck.descriptors()}

    def die(self) -> None:
        self.struck.kill()


def _quiet(server: Echo) -> bool:
    """Whether all that is sent arrives and is answered, and next to nothing else passes."""
    assert server.net
    before = server.net.sent_bytes()
    well = server.exchange(100) == (100, 100) and server.echoes()
    time.sleep(0.05)
    return well and server.net.sent_bytes() - before < 30_000


@contextmanager
def opened(bench: Bench) -> Iterator[CableSubject]:
    with nets(2) as (one, two), echoes("struck", net=one) as (struck,), echoes("bystander", net=two) as (bystander,):
        yield CableSubject(struck, bystander)


CASES = (Case("network.saturation", Saturation(rate_mbps=RATE_MBPS), opened, unavailable=no_networks),)
