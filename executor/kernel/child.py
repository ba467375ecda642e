"""Child processes that end by themselves: with the executor, and when their lease lapses.

A child watches a pidfd of the process that holds it, which a thread's end does not disturb (unlike
``PR_SET_PDEATHSIG``, which fires when the *thread* that made the child ends), and a deadline file whose modification
time is the end of its lease on ``CLOCK_BOOTTIME``. The file's path is among the child's arguments and unique to the
injection, so children are found by it, recorded or not. Standard library only.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import executor
from executor.clock import boottime, own_ticks, start_ticks
from executor.errors import UnavailableError
from executor.kernel import holding, process

_READY_S = 10.0
GRACE_S = 3.0
"""How long a helper may take to tidy up."""
SUFFIX = process.LEASE_SUFFIX
"""What a deadline file's name ends with."""


@dataclass(frozen=True)
class Lease:
    """What a child lives by: its holder's identity and the deadline file."""

    holder: int
    holder_ticks: int
    deadline: Path

    def left_s(self) -> float:
        """Seconds until the lease lapses; 0 once it has, or the file is gone."""
        try:
            return max(0.0, self.deadline.stat().st_mtime - boottime())
        except OSError:
            return 0.0

    @property
    def held(self) -> bool:
        """Whether the holder lives, does not stand still, and has renewed it in time."""
        return holding.hold(self.holder, self.holder_ticks, self.left_s()) == "held"

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; ``False`` as soon as the holder is gone or the lease has lapsed."""
        until = time.monotonic() + seconds
        while (left := self.left_s()) > 0:
            nap = min(0.2, left, max(0.0, until - time.monotonic()))
            try:
                if process.wait_gone(self.holder, self.holder_ticks, nap):
                    return False
            except OSError:  # no descriptor is left to watch it by: the lease lapses all the same
                time.sleep(nap)
            if time.monotonic() >= until:
                return True
        return False


def spawn(
    module: str, arguments: Sequence[str], deadline: Path, lease_s: float, *, ready_s: float = _READY_S
) -> process.Found:
    """Start ``python -m module HOLDER TICKS DEADLINE arguments…`` in a session of its own and wait until it says ready.

    Returns which process it is. The child prints one line ``ready`` once the fault is there, within ``ready_s``
    seconds. Raises ``UnavailableError`` with its last words if it does not; it is ended then.
    """
    extend(deadline, lease_s, create=True)
    command = [sys.executable, "-P", "-m", module, str(os.getpid()), str(own_ticks()), str(deadline), *arguments]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    child = subprocess.Popen(
        command, stdin=null, stdout=pipe, stderr=pipe, start_new_session=True, env=environment(), cwd="/"
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child.stdout, child.stderr:
        poll = select.poll()  # select() would refuse a descriptor beyond 1023
        poll.register(child.stdout, select.POLLIN)
        said = child.stdout.readline() if poll.poll(ready_s * 1000) else b""
        since = start_ticks(child.pid)
        if said.strip() != b"ready" or since is None:
            process.end_child(child, Signals.SIGTERM)
            try:
                _, last = child.communicate(timeout=GRACE_S)
            except subprocess.TimeoutExpired:
                process.end_child(child)
                _, last = child.communicate()
            raise UnavailableError(f"the helper process could not begin: {last_words(last)}.")
    # Its exit is collected when it comes, so that no zombie stays, without holding up the caller.
    threading.Thread(target=child.wait, daemon=True).start()
    return process.Found(child.pid, since)


def environment() -> dict[str, str]:
    """Environment in which a child finds this package, installed or not."""
    root = str(Path(executor.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def last_words(said: bytes) -> str:
    """The last line of what a child said on standard error."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it said nothing"


def extend(deadline: Path, lease_s: float, *, create: bool = False) -> None:
    """Move a child's deadline to ``lease_s`` seconds from now. Does nothing if the file is gone, unless ``create``."""
    if create:
        os.close(os.open(deadline, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    end = boottime() + lease_s
    try:
        os.utime(deadline, (end, end))
    except FileNotFoundError:
        return


@dataclass(frozen=True)
class Helper:
    """A child as its command line shows it, whoever started it."""

    found: process.Found
    module: str
    lease: Lease
    arguments: tuple[str, ...]
    """Its own, after those of the lease."""


def helpers() -> list[Helper]:
    """All children of this machine, of any home."""
    return list(filter(None, map(_helper, process.pids())))


def _helper(pid: int) -> Helper | None:
    words = process.command_line(pid)
    at = words.index("-m") if "-m" in words else len(words)
    match words[at + 1 : at + 5]:
        case (module, holder, ticks, deadline) if (
            module.startswith("executor.") and holder.isdecimal() and ticks.isdecimal() and deadline.endswith(SUFFIX)
        ):
            since = start_ticks(pid)
            if since is not None and process.command_line(pid) == words:  # else another one has the pid by now
                lease = Lease(int(holder), int(ticks), Path(deadline))
                return Helper(process.Found(pid, since), module, lease, words[at + 5 :])
    return None


def living(deadline: Path) -> list[process.Found]:
    """The children that live by a deadline file, whoever started them."""
    return [helper.found for helper in helpers() if helper.lease.deadline == deadline]


def tally_of(deadline: Path) -> Path:
    """Where a child that counts what it strikes keeps that, beside its deadline file."""
    return deadline.with_name(deadline.name + ".tally")


def keep_tally(deadline: Path, text: str) -> None:
    """For a child: put down what it has counted by now. What cannot be kept is not told."""
    with suppress(OSError):
        file = os.open(tally_of(deadline), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, text.encode(), 0)  # one call, and never shorter than before: no half of it is read
        finally:
            os.close(file)


def drop_tally(deadline: Path) -> None:
    """Remove what a child has counted, if it is there."""
    with suppress(OSError):
        tally_of(deadline).unlink(missing_ok=True)


def end(deadline: Path, *, grace_s: float = GRACE_S) -> None:
    """End the children: take their lease away, then SIGTERM, and SIGKILL after ``grace_s`` seconds. Idempotent."""
    with suppress(OSError):  # where it cannot be taken away they are ended all the same
        deadline.unlink(missing_ok=True)
    ended = living(deadline)
    for number in (Signals.SIGTERM, Signals.SIGKILL):
        for child in ended:
            process.send(child.pid, child.start_ticks, number)
            process.send(child.pid, child.start_ticks, Signals.SIGCONT)  # one that stands still would tidy nothing up
        until = time.monotonic() + grace_s
        for child in ended:
            process.wait_gone(child.pid, child.start_ticks, max(0.0, until - time.monotonic()))
    drop_tally(deadline)  # one that was killed did not


def lease(arguments: Sequence[str]) -> tuple[Lease, list[str]]:
    """For a child's ``main``: its lease and its own arguments, from ``sys.argv[1:]``."""
    holder, ticks, deadline, *rest = arguments
    return Lease(int(holder), int(ticks), Path(deadline)), rest


def raise_descriptor_limit() -> None:
    """For a child that opens files or connections for others: allow it as many as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ready() -> None:
    """For a child: the fault is there."""
    print("ready", flush=True)  # noqa: T201 - the word its holder waits for
