"""network.loss: some of the packets to or from a listener never arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from executor.faults.behaviour import Record
from executor.faults.network.packets import PacketFault, at
from executor.kernel.nft import Chain

if TYPE_CHECKING:
    from executor.model.faults.network import Loss as Spec

_EARLY = "priority -300"
"""Before connection tracking and anybody's own rules: they are not to see a packet that is lost either."""


class Loss(PacketFault):
    """Each packet is dropped by its own throw of the kernel's dice.

    What the target sends to others on this machine is dropped as it arrives there, and what leaves the machine as it is
    sent: the kernel tells a sender of datagrams of the latter (``EPERM``), as no network would.
    """

    kind = "network.loss"

    def chains(self, fault: Spec, place: Record) -> list[Chain]:
        """To the listener, from it, or both."""
        drop = f"counter numgen random mod 10000 <= {round(fault.percent * 100) - 1} counter drop"
        to, out = at("d", place), at("s", place)
        arriving = [f"{each} {drop}" for each in to] if fault.direction != "out" else []
        leaving = []
        if fault.direction != "in":
            arriving += [f'iif "lo" {each} {drop}' for each in out]
            leaving += [f'oif != "lo" {each} {drop}' for each in out]
        return [
            Chain("arriving", f"type filter hook input {_EARLY}", tuple(arriving)),
            Chain("leaving", f"type filter hook output {_EARLY}", tuple(leaving)),
        ]

    def asked(self, fault: Spec) -> str:
        """Which share, and which way."""
        return f"{fault.percent:g} % of the packets {_WAYS[fault.direction]}"

    def came(self, rules: Sequence[tuple[str, list[int]]]) -> str:
        """Which share of those that came by."""
        met, lost = (sum(counters[which] for _, counters in rules) for which in (0, 1))
        return f"{100 * lost / met:.1f} % of {met:,} lost" if met else "none came by"


_WAYS = {"both": "each way", "in": "to it", "out": "from it"}
