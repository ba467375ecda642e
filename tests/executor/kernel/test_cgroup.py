"""Cgroups of version 2, on a real hierarchy (without controllers, if the kernel has given them to version 1) and on a
recorded tree; and what is read of mount tables."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.errors import UnavailableError
from executor.kernel import cgroup, cgroup_limit, process
from executor.kernel.cgroup import Hierarchy
from tests.executor.kit import until
from tests.missing import missing

MARK = f"murphy-driver-{os.getpid()}-1"


@pytest.fixture
def two() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that wait."""
    made = [subprocess.Popen(["sleep", "100"]) for _ in range(2)]
    yield made
    for one in made:
        process.end_child(one, signal.SIGKILL)
        one.wait()


@pytest.fixture
def unified() -> Path:
    """Where cgroups of version 2 are."""
    found = [each.root for each in cgroup.hierarchies() if each.version == 2]
    if not found or os.geteuid() != 0:
        missing("no cgroup2 is mounted, or not root")
    return found[0]


@pytest.fixture
def shared(unified: Path, two: list[subprocess.Popen[bytes]]) -> Iterator[Path]:
    """A real cgroup with both in it, below one of the test's own."""
    above = unified / f"test-driver-{os.getpid()}"
    inside = above / "service"
    inside.mkdir(parents=True)
    for one in two:
        cgroup.enter(inside, one.pid)
    yield inside
    for one in two:
        process.end_child(one, signal.SIGKILL)
        one.wait()
    for path in (inside, above):
        until(lambda path=path: not path.is_dir() or _removed(path))


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def ticks(one: subprocess.Popen[bytes]) -> int:
    found = start_ticks(one.pid)
    assert found is not None
    return found


def test_of_two_in_a_cgroup_one_is_moved_beside_it_and_back(shared: Path, two: list[subprocess.Popen[bytes]]) -> None:
    target, bystander = two
    where = Hierarchy("", 2, shared.parent.parent)
    assert where.of(target.pid) == shared
    assert not cgroup.own(where, target.pid, ticks(target))
    record = cgroup_limit.plan(where, target.pid, ticks(target), {"cgroup.max.depth": "3"}, MARK)
    ours = shared.parent / MARK
    cgroup_limit.impose(record)
    assert cgroup.members(ours) == [target.pid]
    assert (ours / "cgroup.max.depth").read_text(encoding="ascii") == "3\n"
    assert cgroup.members(shared) == [bystander.pid]
    (made,) = [made for made in cgroup.made() if made.directory == ours]
    assert (made.origin, made.holder) == (shared, (os.getpid(), start_ticks(os.getpid())))
    assert cgroup_limit.imposed(record)
    for _ in range(2):
        cgroup_limit.lift(record)
        assert sorted(cgroup.members(shared)) == sorted([target.pid, bystander.pid])
        assert not cgroup_limit.imposed(record)
        assert not ours.exists()


def test_what_only_has_a_name_like_ours_is_not_ours(unified: Path) -> None:
    other = unified / f"murphy-other-{os.getpid()}"
    other.mkdir()
    try:
        assert [made for made in cgroup.made() if made.directory == other] == []
    finally:
        other.rmdir()


def test_where_the_origin_is_gone_the_one_above_takes_them(shared: Path, two: list[subprocess.Popen[bytes]]) -> None:
    target, bystander = two
    where = Hierarchy("", 2, shared.parent.parent)
    record = cgroup_limit.plan(where, target.pid, ticks(target), {}, MARK)
    cgroup_limit.impose(record)
    process.end_child(bystander, signal.SIGKILL)
    bystander.wait()
    until(lambda: _removed(shared))
    cgroup_limit.lift(record)
    assert cgroup.members(shared.parent) == [target.pid]
    assert not (shared.parent / MARK).exists()


def test_a_limit_on_its_own_cgroup_moves_nobody(shared: Path, two: list[subprocess.Popen[bytes]]) -> None:
    target, bystander = two
    where = Hierarchy("", 2, shared.parent.parent)
    alone = shared.parent / "alone"
    alone.mkdir()
    cgroup.enter(alone, target.pid)
    try:
        assert cgroup.own(where, target.pid, ticks(target))
        record = cgroup_limit.plan(where, target.pid, ticks(target), {"cgroup.max.depth": "3"}, MARK)
        cgroup_limit.impose(record)
        assert cgroup_limit.imposed(record)
        assert cgroup.members(alone) == [target.pid]
        cgroup_limit.lift(record)
        assert (alone / "cgroup.max.depth").read_text(encoding="ascii") == "max\n"
        cgroup.enter(alone, bystander.pid)
        with pytest.raises(UnavailableError, match="has come into"):
            cgroup_limit.impose(record)
        assert (alone / "cgroup.max.depth").read_text(encoding="ascii") == "max\n"
    finally:
        for one in two:
            cgroup.enter(shared, one.pid)
        until(lambda: _removed(alone))


FILES = {
    "cgroup.controllers": "cpu io memory pids",
    "cpu.max": "max 100000",
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.current": "10485760",
    "memory.swap.current": "0",
    "pids.max": "max",
    "io.max": "8:16 rbps=max wbps=1048576 riops=max wiops=max",
}
"""As a kernel of version 6.1 shows a service's cgroup."""


@pytest.fixture
def recorded(tmp_path: Path, two: list[subprocess.Popen[bytes]]) -> Path:
    """A tree with a service, whose cgroup the first process has alone."""
    root, proc = tmp_path / "cgroup", tmp_path / "proc" / str(two[0].pid)
    service = root / "system.slice" / "shop.service"
    service.mkdir(parents=True)
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text("0::/system.slice/shop.service\n")
    (service / "cgroup.procs").write_text(f"{two[0].pid}\n")
    (root / "system.slice" / "cgroup.subtree_control").write_text("memory pids\n")
    for name, text in FILES.items():
        (service / name).write_text(f"{text}\n")
    return tmp_path


def v2(recorded: Path, controller: str) -> Hierarchy:
    return Hierarchy(controller, 2, recorded / "cgroup", proc=recorded / "proc")


@pytest.mark.parametrize(
    ("controller", "name", "during"),
    [
        ("cpu", "cpu.max", "20000 100000"),
        ("pids", "pids.max", "7"),
        ("io", "io.max", "8:0 rbps=1024 wiops=5"),
        ("memory", "memory.max", str(26 * 2**20)),
    ],
)
def test_each_limit_is_written_as_version_2_takes_it_and_put_back(
    controller: str, name: str, during: str, recorded: Path, two: list[subprocess.Popen[bytes]]
) -> None:
    where, target = v2(recorded, controller), two[0]
    directory = where.of(target.pid)
    settings = {
        "cpu": lambda: cgroup_limit.cpu_quota(where, 20),
        "pids": lambda: {"pids.max": "7"},
        "io": lambda: cgroup_limit.io_limit(where, "8:0", {"rbps": 1024, "wiops": 5}),
        "memory": lambda: cgroup_limit.memory_shortage(where, directory, 16 * 2**20, empty=False),
    }[controller]()
    record = cgroup_limit.plan(where, target.pid, ticks(target), settings, MARK)
    before = (directory / name).read_text()
    cgroup_limit.impose(record)
    assert (directory / name).read_text() == during
    if controller == "memory":
        assert (directory / "memory.swap.max").read_text() == "0"
    cgroup_limit.lift(record)
    expected = before if controller != "io" else "8:0 rbps=max wbps=max riops=max wiops=max"
    assert (directory / name).read_text().strip() == expected.strip()


def test_what_version_2_does_not_hand_down_is_said(recorded: Path, two: list[subprocess.Popen[bytes]]) -> None:
    target, bystander = two
    assert cgroup_limit.impossible(v2(recorded, "cpu"), target.pid, ticks(target)) is None
    with (recorded / "cgroup/system.slice/shop.service/cgroup.procs").open("a") as procs:
        procs.write(f"{bystander.pid}\n")
    assert cgroup_limit.impossible(v2(recorded, "memory"), target.pid, ticks(target)) is None
    why = cgroup_limit.impossible(v2(recorded, "cpu"), target.pid, ticks(target)) or ""
    assert "hands down no cpu controller; start it in a cgroup of its own" in why
    record = cgroup_limit.plan(v2(recorded, "memory"), target.pid, ticks(target), {"memory.max": "1"}, MARK)
    assert record["cgroup"] == str(recorded / "cgroup/system.slice" / MARK)
    assert record["copied"] == {
        name: FILES[name] for name in ("cpu.max", "memory.max", "memory.swap.max", "pids.max", "io.max")
    }


def test_a_process_of_another_tree_is_not_found(recorded: Path, two: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(UnavailableError, match="cannot be told"):
        v2(recorded, "cpu").of(two[1].pid)
    (recorded / "proc" / str(two[0].pid) / "cgroup").write_text("0::/../elsewhere\n")
    with pytest.raises(UnavailableError, match="is not seen from here"):
        v2(recorded, "cpu").of(two[0].pid)


def test_both_versions_are_read_from_the_mount_table(tmp_path: Path) -> None:
    unified = tmp_path / "sys fs"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("memory pids\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(
        "33 31 0:30 / /cg/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "38 31 0:35 /docker/abc /cg/blkio rw,relatime - cgroup cgroup rw,blkio\n"
        f"41 31 0:38 / {str(unified).replace(' ', chr(92) + '040')} rw,relatime - cgroup2 cgroup2 rw\n"
        "42 31 0:39 / /tmp rw - tmpfs tmpfs rw\n"
    )
    found = [
        (each.controller, each.version, str(each.root), each.top) for each in cgroup.hierarchies(tmp_path / "proc")
    ]
    assert found == [
        ("cpu", 1, "/cg/cpu,cpuacct", "/"),
        ("io", 1, "/cg/blkio", "/docker/abc"),
        ("", 2, str(unified), "/"),
        ("memory", 2, str(unified), "/"),
        ("pids", 2, str(unified), "/"),
    ]


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1000000\n", "memory.current": "700000\n"}, 1_000_000),
        ({"memory.max": "max\n", "memory.current": "700000\n"}, None),
        ({"memory.limit_in_bytes": "1000000\n", "memory.usage_in_bytes": "700000\n"}, 1_000_000),
        ({"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "700000\n"}, None),
    ],
    ids=["2", "2 without", "1", "1 without"],
)
def test_memory_in_use_is_without_what_is_only_cached(files: dict[str, str], limit: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    below = "total_inactive_file 250000\n" if "memory.usage_in_bytes" in files else ""
    (tmp_path / "memory.stat").write_text(f"anon 400000\ninactive_file {200_000 if below else 250_000}\n{below}")
    assert cgroup.memory_used(tmp_path) == 450_000
    assert cgroup.limit("memory", tmp_path) == limit
