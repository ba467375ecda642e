"""Faults by the kernel's network emulator: two servers beside each other, and in what order packets arrive."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from executor.kernel import netem
from executor.model.faults.network import DuplicateReorder
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.packets import EchoSubject
from tests.executor.faults.net_kit import PACKETS, Echo, echoes, likely, no_networks

DUPLICATE_PERCENT, REORDER_PERCENT, DELAY_MS = 20, 15, 50


class EmulatedSubject(EchoSubject):
    """Datagrams go to either server, and arrive once each and in order unless they are struck."""

    def normal(self) -> bool:
        return _in_order(self.struck)

    def unharmed(self) -> bool:
        return _in_order(self.bystander)

    def state(self) -> Any:
        queues = subprocess.run(["tc", "qdisc", "show", "dev", "lo"], capture_output=True, text=True, check=True)
        return {"queues": queues.stdout, "descriptors": self.struck.descriptors()}


def _in_order(server: Echo) -> bool:
    return server.order(100) == list(range(100)) and server.echoes()


def twice(arrived: list[int]) -> int:
    """How many packets arrived more than once."""
    return len(arrived) - len(set(arrived))


def overtook(arrived: list[int]) -> int:
    """How many packets arrived before one that was sent earlier."""
    count, least = 0, len(arrived)
    for number in reversed(list(dict.fromkeys(arrived))):
        count += number > least
        least = min(least, number)
    return count


def _struck(server: Echo) -> bool:
    arrived = server.order(200)
    return twice(arrived) > 0 and overtook(arrived) > 0


def measured(server: Echo) -> str:
    """Where chance has a share beyond its interval, one more throw decides.

    netem throws for the second copy of a packet anew: it may be early where the first is not.
    """
    early_share = 1 - (1 - REORDER_PERCENT / 100) * (1 - DUPLICATE_PERCENT / 100 * REORDER_PERCENT / 100)
    for last in (False, True):
        arrived = server.order(PACKETS)
        assert set(arrived) == set(range(PACKETS))
        shares = ((twice(arrived), DUPLICATE_PERCENT / 100), (overtook(arrived), early_share))
        if all(likely(got, PACKETS, share) for got, share in shares) or last:
            break
    assert all(likely(got, PACKETS, share) for got, share in shares), shares
    (two, _), (early, _) = shares
    return (
        f"{DUPLICATE_PERCENT} % twice and {REORDER_PERCENT} % early asked ({100 * early_share:.1f} % by either copy),"
        f" {100 * two / PACKETS:.1f} % and {100 * early / PACKETS:.1f} % of {PACKETS:,} packets"
    )


@contextmanager
def opened(bench: Bench) -> Iterator[EmulatedSubject]:
    with echoes("struck", "bystander") as (struck, bystander):
        yield EmulatedSubject(struck, bystander, _struck, measured)


FAULT = DuplicateReorder(duplicate_percent=DUPLICATE_PERCENT, reorder_percent=REORDER_PERCENT, delay_ms=DELAY_MS)
CASES = (Case("network.duplicate_reorder", FAULT, opened, unavailable=no_networks, kernel_lacks=netem.unusable),)
