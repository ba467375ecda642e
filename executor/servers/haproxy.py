"""HAProxy at its runtime socket: how its servers are, and setting one. Standard library only."""

from __future__ import annotations

import csv
import ipaddress
import socket
from typing import Any

from executor.errors import UnavailableError
from executor.servers.served import NobodyError

_ANSWER_S = 3.0
FORCED_MAINT, INHERITED_MAINT, FORCED_DRAIN = 0x01, 0x02, 0x08
"""Bits of a server's administrative state: told to be down, down by another server, told to drain."""


def ask(path: str, command: str) -> str:
    """What it says to one command. Raises ``UnavailableError`` if it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_ANSWER_S)
            line.connect(path)
            line.sendall(f"{command}\n".encode())
            said = b"".join(iter(lambda: line.recv(65536), b""))
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise NobodyError("no HAProxy answers at its runtime socket.", where=path) from error
    except OSError as error:
        why = f"HAProxy does not answer at its runtime socket: {error.strerror or error}."
        raise UnavailableError(why, where=path) from error
    return said.decode("utf-8", "replace").strip()


def pid(path: str) -> int:
    """The process that answers. Raises ``UnavailableError``."""
    info = dict(line.split(": ", 1) for line in ask(path, "show info").splitlines() if ": " in line)
    try:
        return int(info["Pid"])
    except (KeyError, ValueError):
        raise UnavailableError("is no runtime socket of HAProxy.", where=path) from None


def servers(path: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Backend → server → its administrative state, weight, address and port, in the file's order."""
    head, *rows = [line for line in ask(path, "show servers state").splitlines() if line and line != "1"]
    names = head.removeprefix("# ").split()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        about = dict(zip(names, row.split(), strict=False))
        found.setdefault(about["be_name"], {})[about["srv_name"]] = {
            "admin": int(about["srv_admin_state"]),
            "weight": int(about["srv_uweight"]),
            "address": about["srv_addr"],
            "port": int(about["srv_port"]),
            "by_name": about["srv_fqdn"] != "-",
        }
    return found


def trackers(path: str) -> dict[str, list[str]]:
    """Server → servers that go down and come back with it (``track``), each as backend/server."""
    head, *rows = [line for line in ask(path, "show stat").splitlines() if line]
    found: dict[str, list[str]] = {}
    for about in csv.DictReader(rows, head.removeprefix("# ").split(",")):
        if tracked := about.get("tracked"):
            found.setdefault(tracked, []).append(f"{about['pxname']}/{about['svname']}")
    return found


def same(one: str, other: str) -> bool:
    """Whether two texts are one address, however they are written; HAProxy writes it in its own way."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:  # a socket's
        return one == other
