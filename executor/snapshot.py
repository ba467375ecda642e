"""What a host carries that a fault could leave behind, so that "nothing is left" is a comparison and not a claim."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from executor.drivers import process

_SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_HELPER = "-m executor."


@dataclass(frozen=True)
class Snapshot:
    """Everything of interest at one moment, one line each."""

    items: frozenset[str]

    def left_since(self, before: Snapshot) -> tuple[str, ...]:
        """What is here now and was not before, in order."""
        return tuple(sorted(self.items - before.items))

    def lost_since(self, before: Snapshot) -> tuple[str, ...]:
        """What was here before and is not now, in order."""
        return tuple(sorted(before.items - self.items))


def take() -> Snapshot:
    """Look at the host: helper processes, stopped processes, listeners, nftables, qdiscs, namespaces, cgroups, mounts.

    What this user may not see is not part of it. Changes nothing.
    """
    looks = (_processes, _listeners, _nftables, _qdiscs, _namespaces, _cgroups, _mounts)
    return Snapshot(frozenset(item for look in looks for item in look()))


def _processes() -> Iterator[str]:
    for pid in process.pids():
        command = " ".join(process.command_line(pid))
        if _HELPER in command and pid != os.getpid():
            yield f"process {pid}: {command}"
        elif command and _is_stopped(pid):
            yield f"process {pid} is stopped: {command}"


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] == "T"


def _listeners() -> Iterator[str]:
    found = psutil.net_connections("tcp")
    return (f"listener on TCP port {c.laddr.port}" for c in found if c.status == psutil.CONN_LISTEN and c.laddr)


def _nftables() -> Iterator[str]:
    return (f"nftables: {line}" for line in _lines("nft", "list", "tables")) if os.geteuid() == 0 else iter(())


def _qdiscs() -> Iterator[str]:
    return (f"queueing discipline: {line}" for line in _lines("tc", "qdisc", "show"))


def _namespaces() -> Iterator[str]:
    directory = Path("/run/netns")
    return (f"network namespace {entry.name}" for entry in (directory.iterdir() if directory.is_dir() else ()))


def _cgroups() -> Iterator[str]:
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"cgroup {directory}/{name}" for name in names if "murphy" in name)


def _mounts() -> Iterator[str]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    return (f"mount {line.split()[1]}" for line in lines)


def _lines(program: str, *arguments: str) -> list[str]:
    path = shutil.which(program, path=_SEARCH_PATH)
    if path is None:
        return []
    found = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=10)
    return [line.strip() for line in found.stdout.splitlines() if line.strip()]
