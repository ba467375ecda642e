"""Which directories are struck, how much of a volume is taken, and what keeps it from being struck."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.faults.resource import memory
from executor.kernel import fill, volume
from executor.model.faults.resource import DiskFill, DiskReadonly
from tests.executor.faults.cases.volumes import DATA, MIB, OnVolume, no_mounts, small_volumes
from tests.executor.faults.hungry_kit import pair
from tests.missing import missing

MARK = "murphy-volumes-1"


@pytest.fixture
def subject() -> Iterator[OnVolume]:
    if reason := no_mounts():
        missing(reason)
    with small_volumes(), pair(OnVolume) as made:
        yield made


def begun(subject: OnVolume, fault: Any, path: Path) -> dict[str, Any]:
    record = behaviour(fault.kind).prepare(fault, subject.resolved(), Context(subject.system, MARK, str(path)))
    return record | behaviour(fault.kind).inject(record, 60)


def refused(subject: OnVolume, fault: Any) -> str:
    return why_not(behaviour(fault.kind), fault, subject.resolved()) or ""


@pytest.mark.parametrize(
    ("fault", "free"),
    [(DiskFill(path=str(DATA), leave_percent=25), 2 * MIB), (DiskFill(path=str(DATA), bytes=3 * MIB), 5 * MIB)],
)
def test_so_much_is_left_as_was_asked(subject: OnVolume, fault: DiskFill, free: int, tmp_path: Path) -> None:
    record = begun(subject, fault, tmp_path)
    assert abs(volume.free(DATA, root=False) - free) <= 8192
    assert subject.normal(), "there is room, and it is not used"
    behaviour(fault.kind).revert(record)
    assert list(DATA.iterdir()) == []


def test_a_full_volume_is_not_filled(subject: OnVolume, tmp_path: Path) -> None:
    record = begun(subject, DiskFill(path=str(DATA)), tmp_path)
    assert refused(subject, DiskFill(path=str(DATA))).endswith("has 0 MiB left, no more than is to stay free.")
    behaviour("resource.disk_fill").revert(record)


def test_what_the_host_needs_stays_free(subject: OnVolume, tmp_path: Path) -> None:
    """The test's own directory is on a volume of the host's; nothing is written to it."""
    if not volume.is_hosts(tmp_path):
        missing("temporary files are on a volume of their own")
    assert "that the host itself needs" in refused(subject, DiskFill(path=str(tmp_path), leave_percent=1))
    assert "that the host itself needs" in refused(subject, DiskFill(path=str(tmp_path), bytes=2**50))
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_memory_leaves_the_host_its_own(subject: OnVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of that size cannot be made here; what it has is the one thing that is made up."""
    monkeypatch.setattr(memory, "host_memory", lambda: (64 * MIB, 10 * MIB))
    assert "is in memory, of which the host would have less than 10 %" in refused(subject, DiskFill(path=str(DATA)))
    assert refused(subject, DiskFill(path=str(DATA), bytes=3 * MIB)) == ""


def test_a_file_that_somebody_put_there_is_not_written_to(subject: OnVolume, tmp_path: Path) -> None:
    file = fill.file_of(DATA, MARK)
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError, match="EEXIST"):
        begun(subject, DiskFill(path=str(DATA)), tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    fill.release(DATA, MARK)


def test_a_volume_with_a_file_open_for_writing_stays_writable(subject: OnVolume, tmp_path: Path) -> None:
    with (DATA / "open").open("w"):
        with pytest.raises(UnavailableError, match="busy"):
            begun(subject, DiskReadonly(path=str(DATA)), tmp_path)
        assert subject.normal()
    (DATA / "open").unlink()


def test_a_volume_that_is_seen_elsewhere_too_is_refused(subject: OnVolume, tmp_path: Path) -> None:
    subprocess.run(["mount", "--bind", str(DATA), str(tmp_path)], check=True)
    try:
        why = refused(subject, DiskReadonly(path=str(DATA)))
        assert why == f"the volume on {DATA} is mounted on {tmp_path} too, which would be struck with it."
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert "nothing is mounted on" in refused(subject, DiskReadonly(path=str(tmp_path)))


@pytest.mark.parametrize(
    "path", ["/etc", "/usr/lib", "/var/lib", "/proc/self", str(Path.cwd().parent), os.sep + "none"]
)
def test_what_is_not_the_targets_own_is_refused(path: str) -> None:
    assert volume.unfit(Path(path))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert "no directory by its own name" in (volume.unfit(tmp_path / "link") or "")
    assert volume.unfit(tmp_path) is None
