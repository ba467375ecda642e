"""What a fault could leave on the machine would be seen by the suite over every fault."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.executor.faults import host

MARK = f"murphy-host-{os.getpid()}-1"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nftables")
def test_what_bears_the_mark_is_seen(tmp_path: Path) -> None:
    table, mount = f"{MARK.replace('-', '_')}_t", tmp_path / MARK
    group = next(path for path in (host.CGROUPS / "cpu", host.CGROUPS) if (path / "cgroup.procs").exists()) / MARK
    assert host.bearing(MARK) == []
    mount.mkdir()
    group.mkdir()
    try:
        subprocess.run(["nft", "add", "table", "inet", table], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", mount], check=True)
        seen = host.bearing(MARK)
    finally:
        group.rmdir()
        subprocess.run(["umount", mount], check=False)
        subprocess.run(["nft", "delete", "table", "inet", table], check=False)
    assert [line.split()[0] for line in seen] == ["table", "mount", "cgroup"]
    assert host.bearing(MARK) == []
