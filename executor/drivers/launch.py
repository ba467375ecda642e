"""Starts a program as another process ran: ``python -m executor.drivers.launch < RECIPE``. Standard library only.

It runs in a process of its own, so that the program is nobody's child and inherits nothing from Murphy: not the
watchdog's priority, its ignored signals or its protection from a memory shortage.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from executor.clock import boot_id, own_ticks, start_ticks
from executor.kernel import cgroup, io_priority, process, sockets
from executor.state.reading import read

_LIMITS = {
    "Max cpu time": "RLIMIT_CPU",
    "Max file size": "RLIMIT_FSIZE",
    "Max data size": "RLIMIT_DATA",
    "Max stack size": "RLIMIT_STACK",
    "Max core file size": "RLIMIT_CORE",
    "Max processes": "RLIMIT_NPROC",
    "Max open files": "RLIMIT_NOFILE",
    "Max locked memory": "RLIMIT_MEMLOCK",
    "Max address space": "RLIMIT_AS",
    "Max resident set": "RLIMIT_RSS",
    "Max pending signals": "RLIMIT_SIGPENDING",
    "Max msgqueue size": "RLIMIT_MSGQUEUE",
    "Max nice priority": "RLIMIT_NICE",
    "Max realtime priority": "RLIMIT_RTPRIO",
    "Max realtime timeout": "RLIMIT_RTTIME",
}
"""Limits as ``/proc/PID/limits`` calls them: prlimit(2) would need a privilege to read another user's.

That of file locks (``RLIMIT_LOCKS``) means nothing since Linux 2.4."""

_PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""Signals that nohup and shells have a program ignore from its start; any other it ignores by its own doing."""


def recipe(pid: int) -> dict[str, Any]:
    """With what a process runs, its arguments and environment aside. Raises ``OSError`` if it may not be looked at."""
    status = process.status(pid)
    return {
        "cwd": os.readlink(f"/proc/{pid}/cwd"),  # noqa: PTH115 - the kernel's text, not a path of ours
        "uid": int(status["Uid"].split()[1]),
        "gid": int(status["Gid"].split()[1]),
        "groups": [int(group) for group in status["Groups"].split()],
        "umask": int(status["Umask"], 8),
        "nice": os.getpriority(os.PRIO_PROCESS, pid),
        "policy": [os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority],
        "io_priority": io_priority.of(pid),
        "cores": sorted(os.sched_getaffinity(pid)),
        "cgroups": cgroup.places(pid),
        "oom_score_adj": int(_read(pid, "oom_score_adj")),
        "limits": dict(_limits(pid)),
        "ignored": [n.value for n in _PASSED_ON if int(status["SigIgn"], 16) >> (n.value - 1) & 1],
        "streams": [_stream(pid, number) for number in (1, 2)],
    }


def found(program: str, pid: int) -> bool:
    """Whether a program's name leads to a file, seen from where the process runs and with its search path."""
    pairs = (item.partition(b"=") for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    path = next((os.fsdecode(value) for name, _, value in pairs if name == b"PATH"), os.defpath)
    places = [""] if "/" in program else path.split(os.pathsep)
    cwd = Path(f"/proc/{pid}/cwd")
    return any(os.access(cwd / place / program, os.X_OK) and (cwd / place / program).is_file() for place in places)


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")


def _limits(pid: int) -> Iterator[tuple[str, tuple[int, int]]]:
    for line in _read(pid, "limits").splitlines():
        name = _LIMITS.get(line[:26].strip())
        if name:
            soft, hard = (resource.RLIM_INFINITY if n == "unlimited" else int(n) for n in line[26:].split()[:2])
            yield name, (soft, hard)


def _stream(pid: int, number: int) -> dict[str, Any]:
    """Where its output went: a file by its path; a pipe, or a file without a path, by those who hold it too."""
    try:
        goal = os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115 - the kernel's text, not a path of ours
    except OSError:
        return {}
    if goal.startswith("pipe:[") or goal.endswith(" (deleted)"):
        return {"goal": goal, "holders": list(_holders(goal, pid))}
    if not goal.startswith("/"):
        return {}
    about = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116 - what it has open, whatever is at that path by now
    return {"path": goal, "file": [about.st_dev, about.st_ino]}


def _holders(goal: str, but: int) -> Iterator[list[int]]:
    for pid in process.pids():
        ticks = start_ticks(pid)
        if pid == but or ticks is None:
            continue
        for number, held in sockets.descriptors(pid):
            if held == goal:
                yield [pid, ticks, number]


def _open(stream: Mapping[str, Any], how: Mapping[str, Any]) -> int:
    """A descriptor for output: where it went before, or nowhere.

    Another file than then, at the same path, is opened with the rights of the process: it may have put a link there
    itself, which would lead root to any file.
    """
    if "path" in stream:
        with suppress(OSError):
            found = os.open(stream["path"], os.O_PATH)
            about = os.fstat(found)
            if [about.st_dev, about.st_ino] == stream.get("file"):
                return _writing(f"/proc/self/fd/{found}")
            return _as_the_process(stream["path"], how)
    for pid, ticks, number in stream.get("holders", ()):
        with suppress(OSError):
            if start_ticks(pid) == ticks and os.readlink(f"/proc/{pid}/fd/{number}") == stream["goal"]:  # noqa: PTH115
                return _writing(f"/proc/{pid}/fd/{number}")
    return os.open(os.devnull, os.O_WRONLY)


def _writing(place: str) -> int:
    descriptor = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def _as_the_process(path: str, how: Mapping[str, Any]) -> int:
    if os.geteuid() != 0:
        return _writing(path)
    groups = os.getgroups()
    try:
        os.setgroups(how["groups"])
        os.setegid(how["gid"])
        os.seteuid(how["uid"])
        return _writing(path)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _become(how: Mapping[str, Any]) -> None:
    """Take on all that the process of then ran with. What needs privileges comes before they are given up."""
    os.setsid()
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN if number in how["ignored"] else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    streams = [os.open(os.devnull, os.O_RDONLY), *(_open(stream, how) for stream in how["streams"])]
    for standard, descriptor in enumerate(streams):
        os.dup2(descriptor, standard)
    with suppress(OSError, KeyError):  # full or read-only disk: started twice is better than not at all
        Path(how["started"]).write_text(f"{os.getpid()} {own_ticks()} {boot_id()}", encoding="ascii")
    os.umask(how["umask"])
    with suppress(OSError):  # as much of it as this user may have
        Path("/proc/self/oom_score_adj").write_text(str(how["oom_score_adj"]), encoding="ascii")
    cgroup.join(how.get("cgroups", ()))  # an earlier Murphy's recipe has none
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, how["nice"])
    with suppress(OSError, KeyError):  # an earlier Murphy's recipe has neither
        policy, priority = how["policy"]
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    with suppress(OSError, KeyError):
        io_priority.take(how["io_priority"])
    with suppress(OSError):
        os.sched_setaffinity(0, how["cores"])
    for name, (soft, hard) in how["limits"].items():
        with suppress(OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (soft, hard))
    os.chdir(how["cwd"])
    if os.geteuid() == 0:
        os.setgroups(how["groups"])
        os.setgid(how["gid"])
        os.setuid(how["uid"])


def begin(how: Mapping[str, Any], environment: bytes, arguments: bytes) -> tuple[int, str]:
    """Start it, both as the kernel shows them. Returns its pid once it runs, and why it does not; empty if it does."""
    pairs = (item.partition(b"=") for item in environment.split(b"\0") if b"=" in item)
    variables = {name: value for name, _, value in pairs}
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as problems:  # ends without a word when the program has begun
            return pid, problems.read()
    try:
        _become(how)
        os.execvpe(how["program"], arguments.split(b"\0"), variables)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing was started
        os.write(writing, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        os._exit(127)


def main() -> int:
    """Start it; returns 0 once it runs, having said which process it is, else 1 with the reason on standard error."""
    try:
        how = json.load(sys.stdin)
        environment, arguments = read(Path(how["environ"])), read(Path(how["arguments"]))
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        sys.stderr.write(f"the recipe cannot be read: {type(error).__name__}: {error}")
        return 1
    pid, problem = begin(how, environment, arguments)
    sys.stderr.write(problem)
    sys.stdout.write(f"{pid} {start_ticks(pid)} {boot_id()}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
