"""What faults on the packets of a listener share: rules at its port, which the kernel lets go when nobody renews them.

They are in the network namespace of the listener and look at nothing but its port and addresses, in the protocols in
which it has them: whoever else has the port by another protocol or address is spared. Standard library only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from executor.drivers.driver import Networked, able
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import netns, nft
from executor.kernel.nft import Chain, Table
from executor.kernel.reach import PROTOCOLS, Reach


class PacketFault(ABC):
    """A fault on the packets of a listener. A kind of fault says by which rules."""

    kind: str
    lease: LeaseKind = "kernel"
    needs = Networked
    unclaimed = True

    @abstractmethod
    def chains(self, fault: Any, place: Record) -> list[Chain]:
        """The rules; ``place`` is where its packets pass, as ``Networked`` says it."""

    @abstractmethod
    def asked(self, fault: Any) -> str:
        """How big it is to be, in words."""

    @abstractmethod
    def came(self, rules: Sequence[tuple[str, list[int]]]) -> str:
        """How big it was, in words, from what each rule has counted: its chain and its counters."""

    def lacking(self) -> str | None:
        """What nftables need."""
        return f"{why}." if (why := nft.unusable()) else None

    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Its port must be known, and the kernel must take the rules."""
        assert isinstance(target, ResolvedInstance)
        try:
            place = able(target, Networked).listening(target)
        except UnavailableError as error:
            return f"{target.instance}: {error}"
        refused = Table(nft.name_of("probe"), place["net"]).refused(self.chains(fault, place), [place["port"]])
        return f"this kernel does not take the rules ({refused}); choose another fault." if refused else None

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where its packets pass and the rules. Raises ``UnavailableError`` if it does not listen there."""
        assert isinstance(target, ResolvedInstance)
        place = able(target, Networked).listening(target)
        chains = [[chain.name, chain.hook, chain.rules] for chain in self.chains(fault, place)]
        return {**place, "table": nft.name_of(context.mark), "chains": chains, "asked": self.asked(fault)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Put the rules in force. Raises ``UnavailableError`` if the target is gone; there are none then."""
        if netns.of(record["pid"], record["ticks"]) != record["net"]:
            raise UnavailableError(f"process {record['pid']} has moved to another network.")
        chains = [Chain(name, hook, tuple(rules)) for name, hook, rules in record["chains"]]
        _table(record).put(chains, [record["port"]], lease_s)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the lease on. Raises ``FaultGoneError`` if it has lapsed, or the network namespace is gone."""
        _table(record).renew([record["port"]], lease_s)
        if not _table(record).live():
            raise FaultGoneError(f"the rules of {_table(record)} are no longer in force.")

    def active(self, record: Record) -> bool | None:
        """Whether the rules are in force: asked of the kernel."""
        try:
            return bool(_table(record).live())
        except UnavailableError:
            return None

    def tells(self, record: Record) -> str:
        """What was asked and what the kernel has counted; empty if the rules are gone."""
        try:
            return f"{record['asked']} asked, {self.came(_table(record).counted())}"
        except UnavailableError:
            return ""

    def revert(self, record: Record) -> None:
        """Delete the table; with its network namespace it is gone already."""
        _table(record).remove()


def at(side: str, place: Record, protocols: Sequence[str] = PROTOCOLS) -> list[str]:
    """Matches for the listener's end of a packet, a rule each: ``side`` is ``d`` (packets to it) or ``s`` (from it)."""
    return [
        f"{where} {protocol} {side}port {nft.LIVE}"
        for protocol in protocols
        for where in Reach(*place["reach"][protocol]).matches(side)
    ]


def _table(record: Record) -> Table:
    return Table(record["table"], record["net"])
