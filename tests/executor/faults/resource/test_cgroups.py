"""Limits on a cgroup that is the target's own, and what is restored of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor.clock import own_ticks
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.faults.resource.memory import ends_it, host_memory
from executor.kernel import cgroup, child
from executor.model.faults.resource import Cpu, CpuThrottle, Memory, Oom
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.limits import Throttled, Wanting
from tests.executor.faults.cases.limits import inside as throttled
from tests.executor.faults.cases.memory import LIMIT
from tests.executor.faults.cases.memory import inside as starved
from tests.executor.faults.hungry_kit import no_cgroup, scratch_cgroup
from tests.executor.kit import until
from tests.missing import missing, not_meant

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


def test_memory_is_filled_to_a_level_with_what_the_target_uses_already(bench: Bench) -> None:
    """Of its own memory, that is: what is only cached gives way."""
    how, mib = behaviour("resource.memory"), 2**20
    with throttled("memory", Wanting, own=True)(bench) as subject:
        context = Context(subject.system, MARK, str(bench.path))
        next(subject.directory / name for name in LIMIT if (subject.directory / name).exists()).write_text(
            str(96 * mib)
        )
        cached = "" if "MURPHY_VM" in os.environ else str(bench.path / "cached")  # there all new files are in memory
        subject.target.ask("grow", size=40 * mib, path=cached)
        record = how.prepare(Memory(fill_percent=75), subject.resolved(), context)
        assert record["bytes"] == pytest.approx(32 * mib, abs=6 * mib)
        how.inject(record, 60)
        try:
            assert cgroup.memory_used(subject.directory) == pytest.approx(72 * mib, abs=6 * mib)
            assert how.active(record)
        finally:
            how.revert(record)
        why = how.unsupported(Memory(fill_percent=40), subject.resolved())
        assert why is not None
        assert re.fullmatch(
            r"4\d\.\d % of the limit of its cgroup \(96 MiB\) is in use already; fill it to more than that\.", why
        )
        with pytest.raises(UnavailableError, match="in use already"):
            how.prepare(Memory(fill_percent=40), subject.resolved(), context)


@pytest.mark.parametrize("own", [True, False])
def test_without_a_limit_of_its_own_the_hosts_memory_is_filled(own: bool, bench: Bench) -> None:
    how = behaviour("resource.memory")
    with throttled("memory", Wanting, own=own)(bench) as subject:
        total, free = host_memory()
        used = 100 * (total - free) / total
        if used > 80:
            not_meant("little memory is free")
        context = Context(subject.system, MARK, str(bench.path))
        record = how.prepare(Memory(fill_percent=used + 4), subject.resolved(), context)
        assert record["bytes"] == pytest.approx(0.04 * total, abs=0.03 * total)  # others take and give meanwhile
        for percent, words in (
            (1, "% of the host's memory is in use already"),
            (95, "would leave the host less than 10 %"),
        ):
            why = how.unsupported(Memory(fill_percent=percent), subject.resolved())
            assert why is not None
            assert words in why


ROOM = 128 * 2**20
"""The limit of the cgroup that a helper takes for the container it runs in."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can show a process another cgroup as its root")
def test_what_others_take_meanwhile_is_not_taken_from_the_reserve(tmp_path: Path) -> None:
    """Both ways: what is wanted at once ends with a reason, what grows grows no further, and is there."""
    where = cgroup.hierarchy("memory")
    with scratch_cgroup("memory") as directory:
        next(directory / name for name in LIMIT if (directory / name).exists()).write_text(str(ROOM))
        used = next(directory / name for name in USED if (directory / name).exists())
        deadline = tmp_path / "murphy-reserve-1.lease"
        child.extend(deadline, 60, create=True)
        module = ["-P", "-m", "executor.faults.resource.memory"]
        holder = [str(os.getpid()), str(own_ticks()), str(deadline)]
        inside = 'mount --bind "$1" "$2" && echo $$ > "$2/cgroup.procs" && shift 2 && exec "$@"'

        def take(grow: int) -> subprocess.Popen[bytes]:
            command = [sys.executable, *module, *holder, str(ROOM - 2**20), str(grow), ""]
            view = ["unshare", "--mount", "sh", "-c", inside, "sh", str(directory), str(where.root)]
            return subprocess.Popen([*view, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        at_once = take(0)
        said, why = at_once.communicate(timeout=30)
        assert (said, at_once.returncode) == (b"", 1)
        assert re.fullmatch(
            r"others have taken memory meanwhile: \d+ MiB more would leave .* reserve", child.last_words(why)
        )
        growing = take(2**28)
        try:
            until(lambda: int(used.read_text()) > ROOM * 0.8)
            time.sleep(1)
            assert growing.poll() is None
            assert int(used.read_text()) <= ROOM * 0.9 + 2**21
        finally:
            growing.kill()
            growing.communicate()


def _other(subject: Wanting, own: bool) -> list[int]:
    return [] if own else [subject.bystander.process.pid]


def _quota(directory: Path) -> Path:
    return next(file for file in (directory / "cpu.max", directory / "cpu.cfs_quota_us") if file.exists())


def test_where_all_of_a_cgroup_end_together_memory_is_not_used_up(tmp_path: Path) -> None:
    """Recorded, since no memory controller of version 2 is at hand."""
    place = tmp_path / "pod" / "container"
    place.mkdir(parents=True)
    (place / "memory.max").write_text(f"{100 * 2**20}\n")
    (place / "memory.current").write_text(f"{20 * 2**20}\n")
    assert ends_it(place, 90 * 2**20) == ""
    (place / "memory.oom.group").write_text("0\n")
    (place.parent / "memory.oom.group").write_text("1\n")
    assert ends_it(place, 72 * 2**20) == ""
    assert ends_it(place, 73 * 2**20).endswith("(memory.oom.group); ask for at most 72 MiB.")
