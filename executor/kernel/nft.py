"""Rules of ours in the kernel's packet tables, by nftables, in force for as long as they are renewed.

One table a fault, named after its mark, in the network namespace of what is struck. Its rules match only what the set
``live`` holds, and the ports in it are held with a time-out in the kernel: when nobody renews, they match nothing more.
Standard library only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from executor.clock import own_ticks
from executor.errors import UnavailableError
from executor.kernel import holding, netns, privilege
from executor.kernel.holding import Hold

LIVE: Final = "@live"
"""What a rule of ours looks a port up in: ``tcp dport @live``."""
_PREFIX: Final = "murphy_"
_SET: Final = LIVE.removeprefix("@")
_HOLDER: Final = re.compile(r"held_by_([0-9]+)_([0-9]+)")
"""Name of an empty chain that says which process made a table, by pid and start time."""


class NotThereError(UnavailableError):
    """What nft was to work on does not exist."""


@dataclass(frozen=True)
class Chain:
    """Rules at one of the kernel's hooks, or that others jump to."""

    name: str
    hook: str
    """``type filter hook input priority 0``; empty: at none."""
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of ours."""

    name: str
    net: int | None = None
    """Its network namespace; ``None``: our own."""

    def __str__(self) -> str:
        return f"{self.name}{f' in network namespace {self.net}' if self.net else ''}"

    def put(self, chains: Sequence[Chain], ports: Iterable[int], lease_s: float) -> None:
        """Make it, in force for ``lease_s`` seconds. Raises ``UnavailableError``: all or none of it is there."""
        _nft(self.net, "-f", "-", script=self._script(chains, ports, lease_s))

    def refused(self, chains: Sequence[Chain], ports: Iterable[int]) -> str | None:
        """Why the kernel would not take it, in one sentence without an end; ``None`` if it would."""
        try:
            _nft(self.net, "--check", "-f", "-", script=self._script(chains, ports, 1.0))
        except UnavailableError as error:
            return str(error).rstrip(".")
        return None

    def renew(self, ports: Iterable[int], lease_s: float) -> None:
        """Go on for ``lease_s`` seconds from now. Does nothing if the lease has lapsed or the table is gone."""
        held = ", ".join(map(str, ports))
        again = f"delete element inet {self.name} {_SET} {{ {held} }}\n" + self._elements(ports, lease_s)
        try:
            _nft(self.net, "-f", "-", script=again)  # both or neither: deleting fails if the kernel let go of it
        except NotThereError:
            return

    def live(self) -> list[int]:
        """The ports for which its rules are in force now."""
        try:
            listed = _listed(self.net, "set", "inet", self.name, _SET)
        except NotThereError:
            return []
        found = [element for item in listed for element in item.get("set", {}).get("elem", ())]
        return [element["elem"]["val"] if isinstance(element, dict) else element for element in found]

    def let_go(self) -> None:
        """Let its rules match nothing more; connections that were led away go on. Idempotent."""
        self._do("flush", "set", "inet", self.name, _SET)

    def remove(self) -> None:
        """Delete it; connections still led away are cut by that. Idempotent."""
        self._do("delete", "table", "inet", self.name)

    def counted(self) -> list[tuple[str, list[int]]]:
        """Of each of its rules the chain, and how many packets came by each ``counter`` in it, from left to right.

        Raises ``UnavailableError`` if there is no such table, or it cannot be asked.
        """
        listed = _listed(self.net, "table", "inet", self.name)
        rules = [item["rule"] for item in listed if "rule" in item]
        return [
            (rule["chain"], [part["counter"]["packets"] for part in rule["expr"] if "counter" in part])
            for rule in rules
        ]

    def chains(self) -> list[str]:
        """The names of its chains."""
        try:
            listed = _listed(self.net, "table", "inet", self.name)
        except NotThereError:
            return []
        return [item["chain"]["name"] for item in listed if "chain" in item]

    def hold(self) -> Hold:
        """Who holds it. Its lease are the rules' ports: the kernel lets go of them when it lapses."""
        made = next(filter(None, map(_HOLDER.fullmatch, self.chains())), None)
        pid, ticks = map(int, made.groups()) if made else (0, 0)
        return holding.hold(pid, ticks, float(len(self.live())))

    def _do(self, *what: str) -> None:
        try:
            _nft(self.net, *what)
        except NotThereError:
            return

    def _script(self, chains: Sequence[Chain], ports: Iterable[int], lease_s: float) -> str:
        lines = [
            f"add table inet {self.name}",
            f"add set inet {self.name} {_SET} {{ type inet_service; flags timeout; }}",
            f"add chain inet {self.name} held_by_{os.getpid()}_{own_ticks()}",
        ]
        for chain in chains:
            lines.append(f"add chain inet {self.name} {chain.name}" + (f" {{ {chain.hook}; }}" if chain.hook else ""))
            lines += [f"add rule inet {self.name} {chain.name} {rule}" for rule in chain.rules]
        return "\n".join(lines) + "\n" + self._elements(ports, lease_s)

    def _elements(self, ports: Iterable[int], lease_s: float) -> str:
        held = ", ".join(f"{port} timeout {max(1, round(lease_s * 1000))}ms" for port in ports)
        return f"add element inet {self.name} {_SET} {{ {held} }}\n"


def name_of(mark: str) -> str:
    """The name of a fault's table."""
    return _PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", mark)


def tables(net: int | None = None) -> list[Table]:
    """All tables of ours in a network namespace, of any home. Raises ``UnavailableError`` if it cannot be asked."""
    names = (item.get("table", {}).get("name", "") for item in _listed(net, "tables", "inet"))
    return [Table(name, net) for name in names if name.startswith(_PREFIX)]


def installed() -> bool:
    """Whether there is an nft; without one nothing of ours is in the kernel's tables."""
    return netns.program("nft") is not None


def unusable() -> str | None:
    """Why nothing can be done by nftables here at all, with what to do about it; ``None`` if it can."""
    if not installed():
        return "nft is not installed; install nftables"
    if reason := privilege.lacking("rules of nftables", "CAP_NET_ADMIN"):
        return reason.rstrip(".")
    if refused := Table(name_of("probe")).refused((), (9,)):
        return f"this kernel does not take rules of nftables ({refused}); load nf_tables, or use a kernel that has it"
    return None


def _listed(net: int | None, *what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_nft(net, "--json", "list", *what))["nftables"]
    return found


def _nft(net: int | None, *arguments: str, script: str = "") -> str:
    try:
        done = netns.run(net, ["nft", *arguments], script)
    except netns.NamespaceGoneError as error:
        raise NotThereError(error.message) from None
    if done.returncode == 0:
        return done.stdout.decode()
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[0] if said else f"it ended with {done.returncode}"
    raise (NotThereError if "No such file" in why else UnavailableError)(f"nft says: {why}.")
