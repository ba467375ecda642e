"""Which network namespaces there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.kernel import netns


def test_a_file_on_which_one_was_mounted_once_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As container engines that were killed leave them."""
    stale = tmp_path / "netns-1"
    stale.touch()
    (tmp_path / "own").symlink_to("/proc/self/ns/net")
    monkeypatch.setattr(netns, "_NAMED", (tmp_path, tmp_path / "not there"))
    assert not {stale.stat().st_ino, Path("/proc/self/ns/net").stat().st_ino} & netns.known().keys()
