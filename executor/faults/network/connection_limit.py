"""network.connection_limit: a listener is let have only so many connections at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from executor.faults.behaviour import Record
from executor.faults.network.packets import PacketFault, at
from executor.kernel.nft import Chain

if TYPE_CHECKING:
    from executor.model.faults.network import ConnectionLimit as Spec


class ConnectionLimit(PacketFault):
    """The kernel counts the connections begun since, by its connection tracking, and turns away what is too many."""

    kind = "network.connection_limit"

    def chains(self, fault: Spec, place: Record) -> list[Chain]:
        """After connection tracking, or there would be nothing to count."""
        turn_away = "drop" if fault.how == "drop" else "reject with tcp reset"
        # Only beginnings are looked at: an established connection must never be turned away.
        begins = "tcp flags & (fin | syn | rst | ack) == syn counter jump counted"
        return [
            # Each rule counts for itself: one for all families and addresses.
            Chain("counted", "", (f"ct count over {fault.max} counter {turn_away}",)),
            Chain(
                "begins",
                "type filter hook input priority 0",
                tuple(f"{each} {begins}" for each in at("d", place, ("tcp",))),
            ),
        ]

    def asked(self, fault: Spec) -> str:
        """How many at once."""
        return f"at most {fault.max:,} connections at once"

    def came(self, rules: Sequence[tuple[str, list[int]]]) -> str:
        """How many were turned away of those that were begun; a caller that gets no answer begins again."""
        begun = sum(counters[0] for chain, counters in rules if chain == "begins")
        away = sum(counters[0] for chain, counters in rules if chain == "counted")
        return f"{away:,} of {begun:,} attempts turned away"
