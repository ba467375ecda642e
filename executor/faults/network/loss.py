"""network.loss: some of the packets to or from a listener never arrive."""

from __future__ import annotations

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
        drop = f"numgen random mod 10000 <= {round(fault.percent * 100) - 1} drop"
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
