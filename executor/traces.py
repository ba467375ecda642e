"""What on this host bears one of our marks, so that "nothing is left behind" is a count and not a claim.

Every fault names what it makes after its mark, and every helper carries its home or scratch directory in its command
line; so whatever bears none of these words is not ours, however busy the host is otherwise.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil

from executor.kernel import process

_SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
KINDS = "processes, listeners, nftables, namespaces, cgroups and mounts"
"""What is looked at, in words."""


def traces(words: Collection[str]) -> tuple[str, ...]:
    """Everything that carries one of ``words`` in its name, command line or environment, one line each, in order.

    This process and those above it do not count, nor does what this user may not see. Changes nothing.
    """
    found = [
        *_processes(words),
        *_named("nftables", _tables(), words),
        *_named("network namespace", _entries(Path("/run/netns")), words),
        *_named("cgroup", _cgroups(), words),
        *_named("mount", (line.split()[1] for line in _lines_of(Path("/proc/self/mounts"))), words),
    ]
    return tuple(sorted(found))


def _processes(words: Collection[str]) -> Iterator[str]:
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for pid in process.pids():
        command = " ".join(process.command_line(pid))
        if pid not in spared and _bears(f"{command}\0{_environment(pid)}", words):
            yield f"process {pid}: {command}"
            yield from (f"listener of process {pid} on TCP port {port}" for port in _ports(pid))


def _environment(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
    except OSError:  # gone, or not ours to read
        return ""


def _ports(pid: int) -> Iterator[int]:
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return
    yield from sorted({c.laddr.port for c in found if c.status == psutil.CONN_LISTEN and c.laddr})


def _tables() -> Iterator[str]:
    path = shutil.which("nft", path=_SEARCH_PATH)
    if path is None or os.geteuid() != 0:
        return
    listed = subprocess.run([path, "list", "tables"], capture_output=True, text=True, check=False, timeout=10)
    yield from (line.strip() for line in listed.stdout.splitlines() if line.strip())


def _cgroups() -> Iterator[str]:
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"{directory}/{name}" for name in names)


def _entries(directory: Path) -> Iterator[str]:
    return (entry.name for entry in (directory.iterdir() if directory.is_dir() else ()))


def _lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _named(kind: str, names: Iterator[str], words: Collection[str]) -> Iterator[str]:
    return (f"{kind} {name}" for name in names if _bears(name, words))


def _bears(text: str, words: Collection[str]) -> bool:
    plain = _plain(text)
    return any(word in text or _plain(word) in plain for word in words)


def _plain(text: str) -> str:
    # nftables takes no dash in a name, so a mark stands there with underscores
    return re.sub(r"[^A-Za-z0-9/.]", "_", text)
