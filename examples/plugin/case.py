"""What Murphy's contract suite needs to run over this fault: a real target, and how the fault shows on it."""

from __future__ import annotations

import os

from murphy_priority.fault import Priority

from tests.executor.faults.cases.instances import ShelfSubject, case


def _lowered(subject: ShelfSubject) -> bool:
    return os.getpriority(os.PRIO_PROCESS, subject.resolved().pid) == 19


def _size(subject: ShelfSubject) -> str:
    other = subject.other.found()
    assert other is not None
    values = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (subject.resolved().pid, other.pid)]
    return f"nice 19 asked, {values[0]}; the bystander has {values[1]}"


CASES = (case(Priority(), _lowered, _size),)
