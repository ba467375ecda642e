"""HAProxy at its runtime socket: how its servers are, and setting one. Standard library only."""

from __future__ import annotations

import csv
import ipaddress
import re
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.kernel import process
from executor.servers.served import NobodyError
from executor.state.reading import read

_ANSWER_S = 3.0
_MOST_BYTES = 2**24
_RELATIVE = re.compile(r":[+-]\d+$")
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


def at_clients_port(pid: int) -> set[str]:
    """Servers, as backend/server, whose port is counted from their client's (``+1000``), as the process's files say.

    At its socket they look like any other. Files that may not be read, and what is not in them as such, are left out.
    """
    argv, found = process.command_line(pid), set[str]()
    for option, name in pairwise(argv):
        section = ""
        for words in _lines(Path(f"/proc/{pid}/cwd") / name) if option == "-f" else ():
            if words[0] in ("backend", "listen", "frontend", "defaults", "global") and len(words) > 1:
                section = words[1]
            elif words[0] == "server" and len(words) > 2 and _RELATIVE.search(words[2]):
                found.add(f"{section}/{words[1]}")
    return found


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        for file in sorted(path.glob("*.cfg")) if path.is_dir() else [path]:
            lines = (line.split() for line in read(file, most=_MOST_BYTES).decode("utf-8", "replace").splitlines())
            yield from (words for words in lines if words)
    except OSError:
        return


def same(one: str, other: str) -> bool:
    """Whether two texts are one address, however they are written; HAProxy writes it in its own way."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:  # a socket's
        return one == other
