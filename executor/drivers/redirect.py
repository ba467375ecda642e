"""Leading new connections to some ports through a helper's listener, by nftables, for as long as that is renewed.

One table a fault, named after its mark. Its rule matches only while a set holds the port, and the port is held with a
time-out in the kernel: when nobody renews, new connections go straight again. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from executor.errors import UnavailableError

SOCKET_MARK: Final = 0x4D
"""Mark on the helper's own sockets, which no table of ours redirects."""
_PREFIX: Final = "murphy_"
_SET: Final = "live"
_NFT_S: Final = 10.0
_SYSTEM_PROGRAMS: Final = ("/usr/sbin", "/sbin")
"""A service's or a user's search path may lack them."""


@dataclass(frozen=True)
class Way:
    """Connections that are led away: the callee's port and addresses, and the users whose processes call it."""

    port: int
    addresses: tuple[str, ...]
    """Numeric; empty: any address of this machine."""
    users: tuple[int, ...]
    """Ids of the users that own the callers' sockets; empty: any."""


def installed() -> bool:
    """Whether there is an nft; without one nothing of ours is in the kernel's tables."""
    return _program() is not None


def unavailable() -> str | None:
    """Why nothing can be redirected here, in one sentence with what to do about it; ``None`` if it can."""
    if not installed():
        return "nft is not installed; install nftables, or put murphy proxy on the edge."
    if os.geteuid() != 0:
        return "redirecting by nftables needs root; run Murphy as root, or put murphy proxy on the edge."
    try:
        _nft("--check", "-f", "-", script=_script(table_of("probe"), [Way(9, (), ())], 9, 1.0))
    except UnavailableError as error:
        return f"{error.message.rstrip('.')}; put murphy proxy on the edge."
    return None


def table_of(mark: str) -> str:
    """The name of a fault's table."""
    return _PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", mark)


def tables() -> list[str]:
    """All tables of ours, of any home. Raises ``UnavailableError`` if the kernel cannot be asked."""
    names = (item.get("table", {}).get("name", "") for item in _listed("tables", "inet"))
    return [name for name in names if name.startswith(_PREFIX)]


def taken(ports: Iterable[int], *, besides: str) -> str | None:
    """The table of another fault that redirects one of these ports now: only the first of two would be felt."""
    wanted = set(ports)
    return next((name for name in tables() if name != besides and wanted & set(live(name))), None)


def lead(table: str, ways: Sequence[Way], to_port: int, lease_s: float) -> None:
    """Lead new connections to ``to_port`` for ``lease_s`` seconds. Raises ``UnavailableError``: all or none."""
    _nft("-f", "-", script=_script(table, ways, to_port, lease_s))


def renew(table: str, ports: Iterable[int], lease_s: float) -> None:
    """Go on for ``lease_s`` seconds from now. Does nothing if the lease has lapsed or the table is gone."""
    held = ", ".join(map(str, ports))
    again = f"delete element inet {table} {_SET} {{ {held} }}\n" + _elements(table, ports, lease_s)
    try:
        _nft("-f", "-", script=again)  # both or neither: deleting fails if the kernel let go of it already
    except NotThereError:
        return


def live(table: str) -> list[int]:
    """The ports whose new connections are led away now."""
    try:
        listed = _listed("set", "inet", table, _SET)
    except NotThereError:
        return []
    found = [element for item in listed for element in item.get("set", {}).get("elem", ())]
    return [element["elem"]["val"] if isinstance(element, dict) else element for element in found]


def let_go(table: str) -> None:
    """Lead no new connection away; those that were go on. Idempotent."""
    try:
        _nft("flush", "set", "inet", table, _SET)
    except NotThereError:
        return


def remove(table: str) -> None:
    """Delete the table; connections still led away are cut by that. Idempotent."""
    try:
        _nft("delete", "table", "inet", table)
    except NotThereError:
        return


class NotThereError(UnavailableError):
    """What nft was to work on does not exist."""


def _script(table: str, ways: Sequence[Way], to_port: int, lease_s: float) -> str:
    lines = [
        f"add table inet {table}",
        f"add set inet {table} {_SET} {{ type inet_service; flags timeout; }}",
        f"add chain inet {table} lead {{ type nat hook output priority -150; }}",
        f"add rule inet {table} lead meta mark {SOCKET_MARK} return",
    ]
    for way in ways:
        users = f" meta skuid {{ {', '.join(map(str, way.users))} }}" if way.users else ""
        # Without the look at the flags, connection tracking that has just been switched on would take a packet from
        # the middle of anybody's connection for a new one, and lead it astray.
        what = f"tcp flags & (fin | syn | rst | ack) == syn tcp dport {way.port} tcp dport @{_SET}{users}"
        lines += [f"add rule inet {table} lead {where} {what} redirect to :{to_port}" for where in _where(way)]
    return "\n".join(lines) + "\n" + _elements(table, {way.port for way in ways}, lease_s)


def _where(way: Way) -> list[str]:
    if not way.addresses:
        return ["fib daddr type local"]
    return [f"{'ip6' if ':' in address else 'ip'} daddr {address}" for address in way.addresses]


def _elements(table: str, ports: Iterable[int], lease_s: float) -> str:
    held = ", ".join(f"{port} timeout {max(1, round(lease_s * 1000))}ms" for port in ports)
    return f"add element inet {table} {_SET} {{ {held} }}\n"


def _listed(*what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_nft("--json", "list", *what))["nftables"]
    return found


def _program() -> str | None:
    return shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PROGRAMS)))


def _nft(*arguments: str, script: str = "") -> str:
    program = _program()
    if program is None:
        raise UnavailableError("nft is not installed, or no longer; install nftables.")
    try:
        done = subprocess.run(
            [program, *arguments], input=script.encode(), capture_output=True, timeout=_NFT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"nft cannot be asked: {error}.") from None
    if done.returncode == 0:
        return done.stdout.decode()
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[0] if said else f"it ended with {done.returncode}"
    raise (NotThereError if "No such file" in why else UnavailableError)(f"nft says: {why}.")
