"""Limits on a cgroup that is the target's own, and what is restored of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.drivers import cgroup
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.model.faults.resource import CpuThrottle, Oom
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.limits import Throttled
from tests.executor.faults.cases.limits import inside as throttled
from tests.executor.faults.cases.memory import inside as starved
from tests.executor.faults.hungry_kit import no_cgroup
from tests.executor.kit import until
from tests.missing import missing

MARK = "murphy-cgroups-1"


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


def _quota(directory: Path) -> Path:
    return next(file for file in (directory / "cpu.max", directory / "cpu.cfs_quota_us") if file.exists())
