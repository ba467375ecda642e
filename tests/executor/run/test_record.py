from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.run.record import Meter, versions, write_atomically
from executor.safety.limits import Limits


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        write_atomically(tmp_path / "nowhere" / "limits.json", Limits())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "limits.json"
    write_atomically(path, Limits())
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        write_atomically(path, Limits(lease_s=9))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_cost_is_measured() -> None:
    meter = Meter()
    sum(n * n for n in range(200_000))
    assert meter.cpu_s() > 0
    assert meter.peak_bytes() > 1_000_000
    assert {"python", "kernel", "murphy-chaos"} <= versions().keys()
