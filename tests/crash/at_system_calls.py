"""A process that makes a fault as a run does, killed at its system calls, one after another: see ``main``.

Each time a child of this process is traced by ``ptrace`` and killed right before one more of its calls. Whoever then
looks must find the target untouched, or all that undoing needs on disk; and what recovers must leave nothing.

Calls that only look, wait, or set something of the process itself are not counted: nobody else can tell whether it was
killed before or after one. A crash makes thousands of them, as it waits for its target's end.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from executor.clock import SYSTEM_CLOCK, boottime
from executor.drivers.resolve import resolve
from executor.kernel import process
from executor.model.faults import Fault
from executor.model.faults.resource import Connections
from executor.model.faults.service import Crash, Hang
from executor.run import strike
from executor.run.course import Course
from executor.run.observations import ObservationLog
from executor.safety.halt import lowered
from executor.selftest.scene import until
from executor.state import audit, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.guardian import Guardian
from executor.undo.recover import recover
from tests.executor.injections import admit
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, system_of

FAULTS: dict[str, Fault] = {"hang": Hang(), "crash": Crash(restart="murphy"), "connections": Connections(count=3)}
_TRACEME, _SYSCALL, _SETOPTIONS, _GET_CALL = 0, 24, 0x4200, 0x420E
_WELL_S = 20.0
_BEGINS = 1
_SYSGOOD, _EXITKILL = 0x1, 0x100000
_AT_A_CALL = signal.SIGTRAP | 0x80
"""How a stop at a call is told from one for a signal. Source: ptrace(2), ``PTRACE_O_TRACESYSGOOD``."""
_LOOKS = {
    *(0, 3, 4, 5, 7, 8, 9, 10, 11, 12),  # read, close, stat, fstat, poll, lseek, mmap, mprotect, munmap, brk
    *(
        13,
        14,
        17,
        23,
        28,
        39,
        79,
        89,
    ),  # rt_sigaction, rt_sigprocmask, pread64, select, madvise, getpid, getcwd, readlink
    *(102, 107, 110, 137, 138, 186, 202, 217),  # getuid, geteuid, getppid, statfs, fstatfs, gettid, futex, getdents64
    *(230, 262, 271, 332, 434),  # clock_nanosleep, newfstatat, ppoll, statx, pidfd_open
}
"""Numbers of calls that change nothing outside of their process, on x86-64; on another machine each counts.

Closing what is open is done by its end, too. Source: Linux, ``arch/x86/entry/syscalls/syscall_64.tbl``.
"""
_OPENAT, _TO_WRITE = 257, os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_LOOKS_KNOWN = platform.machine() == "x86_64"
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


class Call(ctypes.Structure):
    """The first parts of ``struct ptrace_syscall_info``, which has 88 bytes. Source: ptrace(2)."""

    _fields_ = (
        *(("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("at", ctypes.c_uint64), ("stack", ctypes.c_uint64)),
        *(("number", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6), ("rest", ctypes.c_uint64)),
    )

    def begins_to_change(self) -> bool:
        """Whether it is about to begin, and may change what others see."""
        if self.op != _BEGINS:
            return False
        reads = self.number == _OPENAT and not self.arguments[2] & _TO_WRITE
        return not (_LOOKS_KNOWN and (reads or self.number in _LOOKS))


def ptrace(request: int, pid: int = 0, at: int = 0, data: object = 0) -> None:
    if _LIBC.ptrace(request, pid, at, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Bench:
    """One service, and a home in which one fault after another is made on it."""

    def __init__(self, directory: Path, shelf: Shelf, fault: Fault) -> None:
        self.shelf, self.home = shelf, Home.open(directory / "home")
        self.system = system_of([shelf])
        self.plan = plan_of(self.system, (experiment_on(self.system, shelf.name, fault),))
        self.approval = approve(self.home, self.plan)
        self.runs = 0

    def case(self, call: int) -> tuple[int, list[str]]:
        """Make the fault, and be killed before that call, counted from 1, or at the end; how many there were.

        And what was wrong then, in words.
        """
        self.runs += 1
        run = f"run-{self.runs:012x}"
        before = self.shelf.found()
        pid = os.fork()
        if pid == 0:
            self._strike(run)
        calls = killed_before(pid, call)
        wrong = list(self._wrong(run, before))
        return calls, [f"killed before call {call}: {each}" for each in wrong]

    def _strike(self, run: str) -> NoReturn:
        """As the engine does it, from writing down to what the fault has learned."""
        try:
            ptrace(_TRACEME)
            journal = Journal(self.home.journal)
            admit(journal, run)
            action = self.plan.actions[0]
            (target,) = resolve(action.target, self.system)
            course = self._course(run, journal)
            os.kill(os.getpid(), signal.SIGSTOP)  # counted from here on
            armed = strike.arm(course, "e1", 1, action, target, course.next_mark())
            made = strike.inject(course, armed)
            os._exit(0 if made else 1)
        except BaseException:  # noqa: BLE001 - a child of a fork never goes on as its parent
            traceback.print_exc()
            os._exit(2)

    def _course(self, run: str, journal: Journal) -> Course:
        given: dict[str, Any] = {"limits": LIMITS, "home": self.home, "journal": journal, "clock": SYSTEM_CLOCK}
        given |= {"plan": self.plan, "approval": self.approval, "system": self.system, "lowered": lowered(self.home)}
        directory = self.home.run_dir(run)
        given |= {"log": ObservationLog(directory), "scratch": self.home.scratch(run)}
        return Course(
            run=run, guardian=Guardian(self.home, run), report=lambda _event: None, admitted=frozenset(), **given
        )

    def _wrong(self, run: str, before: process.Found | None) -> Iterator[str]:
        with closing(Journal(self.home.journal)) as journal:
            owed = journal.pending(run)
        noted = undo_notes.left(self.home, run)
        if self._touched(run, before) and not (owed and noted):
            yield f"the target is touched, and its revert is not on disk (journal {len(owed)}, notes {len(noted)})"
        yield from (done.error for done in recover(self.home) if not done.reverted)
        if not until(self.shelf.answers, _WELL_S):
            yield "the service does not answer again"
        if not until(lambda: not marked(run), _WELL_S):
            yield "a helper has stayed"
        with closing(Journal(self.home.journal)) as journal:
            if journal.pending() or journal.running() or undo_notes.left(self.home):
                yield "something is left in the journal, or noted"
        if (self.home.runs / run / "scratch").exists():
            yield "its scratch directory is left"
        if faults := audit.verify(self.home).faults:
            yield faults[0]

    def _touched(self, run: str, before: process.Found | None) -> bool:
        return self.shelf.found() != before or self.shelf.stopped() or bool(marked(run))


def marked(run: str) -> list[int]:
    """Helpers of a run."""
    mark = f"murphy-{run.removeprefix('run-')}-"
    return [pid for pid in process.pids() if any(mark in part for part in process.command_line(pid))]


def killed_before(pid: int, call: int) -> int:
    """Trace a child that stops itself first, and kill it before that call or leave it to its end; calls it began."""
    _, status = os.waitpid(pid, 0)
    while not (os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP):
        assert os.WIFSTOPPED(status), f"it ended before it began: {status}"
        ptrace(_SYSCALL, pid, data=os.WSTOPSIG(status))
        _, status = os.waitpid(pid, 0)
    ptrace(_SETOPTIONS, pid, data=_SYSGOOD | _EXITKILL)
    calls, number, info = 0, 0, Call()
    while True:
        ptrace(_SYSCALL, pid, data=number)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            break
        number = os.WSTOPSIG(status)
        if number != _AT_A_CALL:
            continue  # a signal, which it gets
        number = 0
        ptrace(_GET_CALL, pid, ctypes.sizeof(info), ctypes.byref(info))
        calls += info.begins_to_change()
        if calls == call and call:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return call
    assert os.waitstatus_to_exitcode(status) == 0, f"the fault could not be made: {status}"
    return calls


def main() -> None:
    """``DIRECTORY FAULT CASES``: so many cases, evenly over all calls, or each call for 0; prints JSON of what came."""
    directory, name, cases = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with shelves("base") as (shelf,):
        bench = Bench(directory, shelf, FAULTS[name])
        begun = boottime()
        calls, wrong = bench.case(0)
        step = max(1, calls // cases) if cases else 1
        made = 1
        for call in range(1 + int(begun * 1000) % step, calls + 1, step):
            if not wrong:  # what is left would be in the way of the next
                made, wrong = made + 1, bench.case(call)[1]
        print(json.dumps({"calls": calls, "cases": made, "wrong": wrong}))


if __name__ == "__main__":
    main()
