"""service.slowdown: a helper stops and continues the process by turns, so that it gets a share of the time."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Slows, able, push_on
from executor.drivers.targets import ProcessTarget, Resolved, ResolvedInstance
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import child, process

if TYPE_CHECKING:
    from executor.model.faults.service import Slowdown as Spec

PERIOD_S = 0.1


class Slowdown(held.Held):
    """The helper always lets the process go on when it ends; if it is killed, the watchdog's revert does.

    Of another machine, that machine does both.
    """

    kind = "service.slowdown"
    lease: LeaseKind = "watchdog"
    needs = (ProcessTarget, Slows)

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """It must be ours to signal, and not stand still already."""
        if not isinstance(target, ProcessTarget):
            assert isinstance(target, ResolvedInstance)
            return able(target, Slows).unfreezable(target)
        return process.forbidden(target.pid, target.start_ticks) or process.stopped(target.pid, target.start_ticks)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which processes, and how much they keep. Raises ``UnavailableError`` for one that does not run."""
        share = fault.cpu_percent / 100
        if not isinstance(target, ProcessTarget):
            assert isinstance(target, ResolvedInstance)
            return {"driver": target.driver, **able(target, Slows).freezing(target), "share": share}
        if reason := process.stopped(target.pid, target.start_ticks):
            raise UnavailableError(reason, where=target.instance)
        members = process.going(target.pid, target.start_ticks)
        return {"members": members, "share": share, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        if _elsewhere(record):
            able(record, Slows).slow(record, PERIOD_S * (1 - record["share"]), PERIOD_S * record["share"])
            push_on(record, lease_s)
            return {}
        arguments = [json.dumps(record["members"]), str(record["share"])]
        return held.start("executor.faults.service.slowdown", arguments, record, lease_s)

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the deadline on, of the helper or of the other machine. Raises ``FaultGoneError`` if it is gone."""
        if _elsewhere(record):
            push_on(record, lease_s)
        else:
            super().renew(record, lease_s)

    def ended(self, record: Record) -> bool:
        """Whether the processes are gone: the helper has nothing to do then."""
        return not any(process.alive(pid, ticks) for pid, ticks in record["members"])

    def active(self, record: Record) -> bool | None:
        """Whether the helper is at work, or has left a process stopped."""
        if _elsewhere(record):
            return able(record, Slows).slowed(record)
        return held.alive(record) or any(process.state(pid, ticks) == "T" for pid, ticks in _all(record))

    def revert(self, record: Record) -> None:
        """End the helper and let the processes go on."""
        if _elsewhere(record):
            able(record, Slows).thaw(record)
        else:
            held.end(record)
            process.send_all(_all(record), signal.SIGCONT)
            _joined(Path(record["deadline"])).unlink(missing_ok=True)


class _Followed:
    """The processes, and workers that they start meanwhile. Those are noted before they are first stopped.

    Nobody would know of them otherwise who is to let them go on when the helper, and perhaps their parent, is gone.
    """

    def __init__(self, members: list[list[int]], note: Path) -> None:
        self.members, self.note = members, note
        self._looks: dict[int, object] = {}
        """What each ran when it was last found to be a worker."""
        self._seen: set[int] = set()

    def stop(self) -> bool:
        """Stop them, and whoever has joined them; whether any was still there."""
        self._leave_others()
        there = process.send_all(self.members, signal.SIGSTOP)
        while joined := self._join():
            self.members[1:] = [member for member in (*self.members[1:], *joined) if process.alive(*member)]
            process.send_all(joined, signal.SIGSTOP)
        return there

    def go_on(self) -> None:
        """Let them go on."""
        process.send_all(self.members, signal.SIGCONT)

    def _join(self) -> list[list[int]]:
        """New ones. To look for workers takes a while: that is done only where one of them has a new child."""
        before, self._seen = self._seen, set(process.pids())
        known = {pid for pid, _ in self.members}
        if not any(process.parent(pid) in known for pid in self._seen - before - known):
            return []
        with suppress(UnavailableError, OSError):  # it has ended; or there is no room for a note: let them run then
            found = [member for member in process.going(*self.members[0]) if member not in self.members]
            if found:
                with self.note.open("a", encoding="ascii") as note:
                    note.writelines(f"{pid} {ticks}\n" for pid, ticks in found)
            return found
        return []

    def _leave_others(self) -> None:
        """Leave alone, while they run, what is another program by now: between fork and exec that is like a worker."""
        looks = {pid: _look(pid) for pid, ticks in self.members[1:] if process.alive(pid, ticks)}
        changed = {pid for pid, look in looks.items() if look != self._looks.get(pid)}
        if not changed:
            return
        try:
            workers = process.members(*self.members[0])
        except UnavailableError:
            workers = []
        self.members[1:] = [one for one in self.members[1:] if one[0] not in changed or one in workers]
        self._looks = looks


def _look(pid: int) -> object:
    return process.executable(pid), process.command_line(pid)


def _all(record: Record) -> list[list[int]]:
    """The processes, and those that have joined them: of these one that is not noted to the end was never stopped."""
    try:
        noted = _joined(Path(record["deadline"])).read_text(encoding="ascii")
    except OSError:
        noted = ""
    return [
        *record["members"],
        *([int(n) for n in line.split()] for line in noted.splitlines(True) if line[-1] == "\n"),
    ]


def _joined(deadline: Path) -> Path:
    return deadline.with_suffix(".joined")


def _elsewhere(record: Record) -> bool:
    """Whether the target's own machine does it; no helper of ours."""
    return "deadline" not in record


def main() -> None:
    """The helper: stop, continue, and always continue at the end."""
    lease, (given, share) = child.lease(sys.argv[1:])
    followed = _Followed(json.loads(given), _joined(lease.deadline))
    run_s = PERIOD_S * float(share)
    signal.signal(signal.SIGTERM, _leave)
    child.ready()
    try:
        while followed.stop():
            if not lease.wait(PERIOD_S - run_s):
                return
            followed.go_on()
            if not lease.wait(run_s):
                return
    finally:
        followed.go_on()


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break into the last SIGCONT
    sys.exit(0)


if __name__ == "__main__":
    main()
