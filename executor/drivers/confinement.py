"""What a process runs under that a start by us would not give it again. Standard library only."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from executor.kernel import process, sockets

_SAME: Final = ("NoNewPrivs", "Seccomp", "CapBnd")
"""Lines of ``/proc/PID/status`` that whoever is started has from us. What is in the bounding set root gets whole."""
_BIND: Final = 1 << 10
"""``CAP_NET_BIND_SERVICE``."""
_FREE_FROM: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""Ports below that one are opened by those only who may."""
_ATTRIBUTE: Final = "security.capability"


def found(pid: int) -> str | None:
    """What of it would be lost, or gained, in a few words; ``None`` if nothing.

    Raises ``OSError`` if the process is gone or may not be looked at.
    """
    if not process.same_namespaces(pid):
        return "namespaces of its own, in a container perhaps"
    root = f"/proc/{pid}/root"
    if os.readlink(root) != os.readlink("/proc/self/root") or not Path(root).samefile("/proc/self/root"):  # noqa: PTH115
        return f"a root directory of its own ({os.readlink(root)})"  # noqa: PTH115
    its, ours = process.status(pid), process.status(os.getpid())
    for name in _SAME:
        if its.get(name) != ours.get(name):
            return f"{name} {its.get(name)}"
    for name, least, most in _capabilities(pid, its, ours):
        if (now := int(its[name], 16)) & ~most or least & ~now:
            return f"{name} {its[name]}"
    return "a listening socket that it was handed" if _handed(pid) else _given_up(pid, its, ours)


def _given_up(pid: int, its: dict[str, str], ours: dict[str, str]) -> str | None:
    """A port that takes a right to open which it would not begin with: as root it had it, and became another user."""
    *_, (_, _, most) = _capabilities(pid, its, ours)
    if most & _BIND:
        return None
    low = [port for port in sockets.ports(pid) if port < int(_FREE_FROM.read_text())]
    return f"port {min(low)}, which it opened with rights that it has given up" if low else None


def _capabilities(pid: int, its: dict[str, str], ours: dict[str, str]) -> list[tuple[str, int, int]]:
    """What it would have: each with the least and the most, of which a program may have given up some itself.

    Source: capabilities(7), "Transformation of capabilities during execve()" and "Effect of user ID changes".
    """
    bound = int(its["CapBnd"], 16)
    if its["Uid"].split()[1] == "0":
        return [("CapPrm", bound, bound), ("CapEff", bound, bound)]
    ambient = 0 if os.geteuid() == 0 else int(ours["CapAmb"], 16)  # who becomes another user leaves them behind
    most = ambient | _of_file(pid) & bound
    return [("CapAmb", 0, ambient), ("CapPrm", ambient, most), ("CapEff", ambient, most)]


def _of_file(pid: int) -> int:
    """The capabilities that its program gives to whoever starts it. Source: linux/capability.h, ``vfs_cap_data``."""
    with suppress(OSError, struct.error):
        _, low, _, high, _ = struct.unpack("<5I", os.getxattr(f"/proc/{pid}/exe", _ATTRIBUTE)[:20])
        return int(low | high << 32)
    return 0


def _handed(pid: int) -> bool:
    """Whether a supervisor listens for it, so that it would find no socket.

    Of one that was handed over and closed nothing is to be seen, unless it is done as systemd does it.
    """
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    if f"LISTEN_PID={pid}".encode() in variables:
        return True
    own = sockets.listening(pid)
    holders = (other for other in process.pids() if own & sockets.held(other)) if own else ()
    return any(pid not in process.lineage(other) for other in holders)
