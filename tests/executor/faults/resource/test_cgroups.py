"""Limits on a cgroup that is the target's own, and what is restored of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import cgroup, child
from executor.model.faults.resource import Cpu, CpuThrottle, Memory, Oom
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.limits import Throttled, Wanting
from tests.executor.faults.cases.limits import inside as throttled
from tests.executor.faults.cases.memory import inside as starved
from tests.executor.faults.hungry_kit import no_cgroup
from tests.executor.kit import until
from tests.missing import missing

MARK = "murphy-cgroups-1"
USED = ("memory.current", "memory.usage_in_bytes")


@pytest.fixture(autouse=True)
def _cgroups() -> None:
    for controller in ("cpu", "memory"):
        if reason := no_cgroup(controller):
            missing(reason)


def test_a_killed_process_is_back_in_its_cgroup_with_the_limits_of_before(bench: Bench) -> None:
    how = behaviour("resource.oom")
    with starved(own=True)(bench) as subject:
        before = subject.state()
        record = how.prepare(Oom(), subject.resolved(), Context(subject.system, MARK, str(bench.path)))
        record |= how.inject(record, 60)
        assert "origin" not in record
        assert subject.faulted()
        assert subject.killed()
        how.revert(record)
        until(subject.normal)
        assert subject.state() == before


def test_a_quota_of_its_own_is_lowered_and_restored(bench: Bench) -> None:
    how = behaviour("resource.cpu_throttle")
    with throttled("cpu", Throttled, own=True)(bench) as subject:
        quota = _quota(subject.directory)
        quota.write_text("150000", encoding="ascii")
        before = subject.state()
        context = Context(subject.system, MARK, str(bench.path))
        record = how.prepare(CpuThrottle(quota_percent=10), subject.resolved(), context)
        how.inject(record, 60)
        assert quota.read_text(encoding="ascii").split()[0] == "10000"
        assert [made for made in cgroup.made() if made.directory.name == MARK] == []
        assert how.active(record)
        how.revert(record)
        assert subject.state() == before


@pytest.mark.parametrize(("controller", "fault"), [("cpu", Cpu(load_percent=10)), ("memory", Memory(bytes=32 * 2**20))])
@pytest.mark.parametrize("own", [True, False])
def test_a_helper_works_in_a_cgroup_of_the_targets_own_and_in_no_other(
    controller: str, fault: Cpu | Memory, own: bool, bench: Bench
) -> None:
    how, where = behaviour(fault.kind), cgroup.hierarchy(controller)
    with throttled(controller, Wanting, own=own)(bench) as subject:
        record = how.prepare(fault, subject.resolved(), Context(subject.system, MARK, str(bench.path)))
        how.inject(record, 60)
        try:
            (helper,) = child.living(Path(record["deadline"]))
            assert (where.of(helper.pid) == subject.directory) is own
            again = how.prepare(fault, subject.resolved(), Context(subject.system, f"{MARK}-2", str(bench.path)))
            assert bool(again["cgroup"]) is own, "a helper of ours is taken for somebody else"
            if own and controller == "memory":
                used = next(file for file in subject.directory.iterdir() if file.name in USED)
                assert int(used.read_text(encoding="ascii")) >= fault.bytes
        finally:
            how.revert(record)
        assert cgroup.members(subject.directory) == [subject.target.process.pid, *_other(subject, own)]


def _other(subject: Wanting, own: bool) -> list[int]:
    return [] if own else [subject.bystander.process.pid]


def _quota(directory: Path) -> Path:
    return next(file for file in (directory / "cpu.max", directory / "cpu.cfs_quota_us") if file.exists())
