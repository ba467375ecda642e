"""What on this machine bears a mark, as the kernel's own listings show it: no code of ours is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def bearing(mark: str) -> list[str]:
    """Tables of nftables, mounts and control groups that bear it, or a mark that begins so, in words."""
    return [*_tables(mark), *_mounts(mark), *_cgroups(mark)]


def _tables(mark: str) -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("nft") is None:
        return
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True, timeout=20)
    yield from (line for line in done.stdout.splitlines() if mark.replace("-", "_") in line)


def _mounts(mark: str) -> Iterator[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    yield from (f"mount {line}" for line in lines if mark in line)


def _cgroups(mark: str) -> Iterator[str]:
    for where, names, _ in os.walk(CGROUPS):
        yield from (f"cgroup {where}/{name}" for name in names if mark in name)
