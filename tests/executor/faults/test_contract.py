"""One suite over every fault: normal, faulted and observably so, normal again, and nothing left behind.

Whatever happens in between: reverted twice, never injected, killed in the middle, undone by another process from the
record alone, target dead, lease lapsed, pid another process's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.targets import ProcessTarget
from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Behaviour, Context, Momentary, Record, Renewable, Telling, why_not
from executor.faults.held import Held
from executor.faults.registry import BEHAVIOURS, behaviour
from executor.kernel import child, process
from tests.executor.faults.cases import OTHERS, Bench, Case, Subject, all_cases
from tests.executor.faults.host import bearing
from tests.executor.faults.table import not_here, saw
from tests.executor.kit import until
from tests.missing import missing, not_meant

CASES = all_cases()
MARK = f"murphy-contract-{os.getpid()}-1"
LONG_S = 120.0
INJECT = """
import json, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
print("go", flush=True)
behaviour(kind).inject(record, 120.0)
print("done", flush=True)
import time
time.sleep(120)
"""
REVERT = """
import json, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
behaviour(kind).revert(record)
print(json.dumps(behaviour(kind).active(record)))
"""


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """A test for each of these."""
    marks = {True: [pytest.mark.slow], False: []}
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=marks[case.slow]) for case in cases])


every_case = each(CASES)


RECIPE = (".environ", ".arguments", ".started")
"""How to start a process again: kept until the run's scratch is cleared, since a late strike may need it once more."""


def settled(subject: Subject) -> Any:
    """Its state, seen twice alike: the connection over which it has just answered well may not be closed yet."""
    seen = [subject.state()]

    def alike() -> bool:
        time.sleep(0.1)
        seen.append(subject.state())
        return bool(seen[-1] == seen[-2])

    until(alike, what="the target's state does not settle")
    return seen[-1]


class Injection:
    """One case's target, with the fault prepared on it."""

    def __init__(self, case: Case, subject: Subject, path: Path) -> None:
        self.case, self.subject, self.path = case, subject, path
        self.how: Behaviour = behaviour(case.fault.model_dump()["kind"])
        until(subject.normal, what="the target is not well to begin with")
        self.before = settled(subject)
        target = subject.resolved()
        assert why_not(self.how, case.fault, target) is None
        saw(case.id, "lease", self.how.lease)
        prepared = self.how.prepare(case.fault, target, Context(subject.system, MARK, str(path)))
        self.record: Record = json.loads(json.dumps(prepared, allow_nan=False))
        until(lambda: self.subject.state() == self.before, what="prepare touched the target")  # its sessions end late

    def inject(self, lease_s: float = LONG_S) -> None:
        self.record = self.record | dict(self.how.inject(self.record, lease_s))
        if isinstance(self.how, Momentary):
            assert self.how.struck(self.record)
        if self.case.stays:
            until(lambda: self.how.active(self.record), what="the behaviour does not see the fault")
        saw(self.case.id, "injected")
        until(self.subject.faulted, what="the target does not show the fault")
        saw(self.case.id, "observed")

    def run(self, script: str) -> subprocess.Popen[bytes]:
        """A script in another process, given the kind and the record."""
        other = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert other.stdin is not None
        other.stdin.write(json.dumps([self.how.kind, dict(self.record)]).encode())
        other.stdin.close()
        return other

    def assert_gone(self) -> None:
        """The fault is gone and everything is as it was."""
        assert self.how.active(self.record) is False
        until(self.subject.normal, what="the target is not well again")
        until(lambda: self.subject.state() == self.before, what=f"not as before: {self.changes()}")
        self.assert_nothing_left()

    def changes(self) -> dict[str, Any]:
        now = self.subject.state()
        return {part: (was, now[part]) for part, was in self.before.items() if was != now[part]}

    def assert_nothing_left(self) -> None:
        until(lambda: not marked(), what=f"processes are left: {marked()}")
        until(lambda: not bearing(MARK), what=f"the machine is not as before: {bearing(MARK)}")
        left = [file.name for file in self.path.iterdir() if file.suffix not in RECIPE]
        assert left == [], "files are left"


ROOT = Path(__file__).parents[3]


def marked() -> list[tuple[str, ...]]:
    """Command lines of the processes that carry the mark."""
    lines = (process.command_line(pid) for pid in process.pids())
    return [line for line in lines if any(MARK in part for part in line)]


@pytest.fixture
def begin(bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Injection]]:
    """Makes a case's target and prepares the fault on it; whatever a failed test leaves is undone."""
    yield from _begin(bench, tmp_path)


@pytest.fixture
def begin_alone(own_bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Injection]]:
    """As ``begin``, with a target that may be ended."""
    yield from _begin(own_bench, tmp_path)


def _begin(bench: Bench, tmp_path: Path) -> Iterator[Callable[..., Injection]]:
    opened: list[tuple[Any, Injection]] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)

    def start(case: Case) -> Injection:
        for reason, there_in in ((case.unavailable(), "CI"), (case.kernel_lacks(), "MURPHY_VM")):
            if reason:
                not_here(case.id, reason)
                missing(reason, there_in=there_in)
        manager = case.open(bench)
        injection = Injection(case, manager.__enter__(), scratch)
        opened.append((manager, injection))
        return injection

    yield start
    for manager, injection in opened:
        with suppress(UnavailableError):
            injection.how.revert(injection.record)
        manager.__exit__(None, None, None)


def test_every_kind_has_a_case() -> None:
    if OTHERS in os.environ:
        not_meant("the cases are another package's")
    assert {case.fault.model_dump()["kind"] for case in CASES} == {how.kind for how in BEHAVIOURS}


def holds_references_only(injection: Injection) -> None:
    """No secret is in the record, and nobody else reads what is kept beside it."""
    text = json.dumps(dict(injection.record))
    for name in ("TEST_POSTGRES", "TEST_REDIS"):
        assert not os.environ.get(name) or os.environ[name] not in text
    assert "canary" not in text
    for file in injection.path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, f"others may read {file.name}"


@every_case
def test_normal_faulted_normal(case: Case, begin: Callable[[Case], Injection]) -> None:
    injection = begin(case)
    assert injection.how.active(injection.record) is False
    injection.inject()
    holds_references_only(injection)
    size = injection.subject.size()
    assert size, "its size cannot be measured"
    saw(case.id, "measured size", size)
    if isinstance(injection.how, Telling):
        assert injection.how.tells(injection.record) or kind_of(case) == "network.bandwidth"
    assert injection.subject.unharmed(), "a bystander is hurt"
    saw(case.id, "bystander unharmed")
    injection.how.revert(injection.record)
    saw(case.id, "reverted")
    injection.assert_gone()
    saw(case.id, "host equal")
    injection.how.revert(injection.record)
    injection.assert_gone()


@every_case
def test_reverting_what_was_never_injected(case: Case, begin: Callable[[Case], Injection]) -> None:
    injection = begin(case)
    injection.how.revert(injection.record)
    injection.assert_gone()


@every_case
def test_executor_killed_in_the_middle_and_undone_by_another_process(
    case: Case, begin: Callable[[Case], Injection]
) -> None:
    injection = begin(case)
    executor = injection.run(INJECT)
    assert executor.stdout is not None
    assert executor.stdout.readline() == b"go\n"
    executor.kill()
    executor.wait()
    executor.stdout.close()
    other = injection.run(REVERT)
    assert other.stdout is not None
    assert json.loads(other.stdout.read() or "null") is False
    other.stdout.close()
    assert other.wait() == 0
    injection.assert_gone()


@every_case
def test_executor_killed_after_injecting(case: Case, begin: Callable[[Case], Injection]) -> None:
    """What was learned by injecting was never written down. What has a lease of its own ends by itself."""
    injection = begin(case)
    executor = injection.run(INJECT)
    assert executor.stdout is not None
    assert executor.stdout.read(8) == b"go\ndone\n"
    until(injection.subject.faulted)
    executor.kill()
    executor.wait()
    executor.stdout.close()
    own = isinstance(injection.how, Renewable) and injection.how.lease not in ("server", "kernel")
    if own and injection.how.kind not in WATCHED and not there(case):  # another machine ends it after its lease only
        until(lambda: injection.how.active(injection.record) is False, what="the fault outlives its executor")
        until(injection.subject.normal)
    injection.how.revert(injection.record)
    injection.assert_gone()
    saw(case.id, "crash-reverted")


@every_case
def test_target_dies_meanwhile(case: Case, begin_alone: Callable[[Case], Injection]) -> None:
    injection = begin_alone(case)
    injection.inject()
    injection.subject.die()
    if case.owed_while_dead:
        assert injection.how.active(injection.record) is not False
        with pytest.raises(UnavailableError):
            injection.how.revert(injection.record)
        injection.subject.revive()  # type: ignore[attr-defined]
    injection.how.revert(injection.record)
    assert injection.how.active(injection.record) is False
    injection.assert_nothing_left()


def there(case: Case) -> bool:
    """Whether another machine keeps its lease."""
    return case.id.endswith("-ssh")


def kind_of(case: Case) -> str:
    return str(case.fault.model_dump()["kind"])


WATCHED = (
    *("service.hang", "service.crash", "service.stop", "resource.oom"),
    *("infrastructure.vm", "infrastructure.zone"),
)
"""Only the watchdog ends these, whatever is renewed; on another machine the same fault has a lease of its own."""
LEASED = [c for c in CASES if isinstance(behaviour(kind_of(c)), Renewable) and (kind_of(c) not in WATCHED or there(c))]


@each(LEASED)
def test_ends_with_its_lease(case: Case, begin: Callable[[Case], Injection]) -> None:
    injection = begin(case)
    injection.inject()
    assert isinstance(injection.how, Renewable)
    injection.how.renew(injection.record, 0.2)
    until(lambda: injection.how.active(injection.record) is False, what="the fault outlives its lease")
    until(injection.subject.normal)
    with suppress(FaultGoneError):
        injection.how.renew(injection.record, LONG_S)
    assert injection.how.active(injection.record) is False, "a lapsed lease was revived"
    injection.how.revert(injection.record)
    injection.assert_gone()


ENDING = ("service.slowdown", "data.lock", "data.cache_pause")
HELPED = [c for c in CASES if isinstance(behaviour(kind_of(c)), Held) and not there(c)]


@each(HELPED)
def test_a_helper_that_is_killed_is_noticed(case: Case, begin: Callable[[Case], Injection]) -> None:
    """A slowed-down process may be left standing still by it, say."""
    injection = begin(case)
    injection.inject()
    assert isinstance(injection.how, Held)
    injection.how.renew(injection.record, LONG_S)
    killed = child.living(Path(injection.record["deadline"]))[-1]
    process.send(killed.pid, killed.start_ticks, signal.SIGKILL)
    process.wait_gone(killed.pid, killed.start_ticks, 10)
    with pytest.raises(FaultGoneError, match="a helper that carried the fault is gone"):
        injection.how.renew(injection.record, LONG_S)
    injection.how.revert(injection.record)
    injection.assert_gone()


@each([c for c in HELPED if kind_of(c) in ENDING])
def test_a_helper_that_ends_with_its_target_is_no_fault_that_is_gone(
    case: Case, begin_alone: Callable[[Case], Injection]
) -> None:
    """It may be the supervisor's doing, which is the system's own answer."""
    injection = begin_alone(case)
    injection.inject()
    assert isinstance(injection.how, Held)
    injection.subject.die()
    until(lambda: not child.living(Path(injection.record["deadline"])), what="the helper outlives its target")
    injection.how.renew(injection.record, LONG_S)
    injection.how.revert(injection.record)


@every_case
def test_a_reused_pid_is_refused(case: Case, begin: Callable[[Case], Injection]) -> None:
    """The process has the pid, and another start time: it is not the one that was meant."""
    injection = begin(case)
    target = injection.subject.resolved()
    if not isinstance(target, ProcessTarget):
        not_meant("strikes an edge, not a process")
    other = replace(target, start_ticks=target.start_ticks - 1)
    context = Context(injection.subject.system, f"{MARK}-2", str(injection.path))
    with pytest.raises(UnavailableError):
        injection.how.prepare(case.fault, other, context)
    members = injection.record.get("members")
    if members:
        wrong = {**injection.record, "members": [[pid, ticks - 1] for pid, ticks in members]}
        with suppress(UnavailableError):
            injection.how.inject(wrong, LONG_S)
        until(injection.subject.normal)
        assert injection.subject.resolved() == target
        injection.how.revert(wrong)
        assert injection.subject.resolved() == target
    injection.how.revert(injection.record)
    injection.assert_gone()
