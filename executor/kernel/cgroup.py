"""Control groups of version 1 and 2: where a process is, whether the place is its own, and cgroups of ours.

Ours are named by our mark, and say in an extended attribute who holds them and where their processes came from, so that
they can be undone without a journal. Limits are in ``cgroup_limit``. Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from executor.clock import own_ticks
from executor.errors import UnavailableError
from executor.kernel import child, process

PREFIX: Final = "murphy-"
"""What our marks, and so the names of our cgroups, begin with."""
_ATTRIBUTE: Final = "trusted.murphy"
_CONTROLLERS: Final = ("cpu", "memory", "pids", "io")
_VERSION_1: Final = {"io": "blkio"}
"""Controllers that version 1 calls otherwise."""
_LIMITS: Final = {"cpu": ("cpu.max", "cpu.cfs_quota_us"), "memory": ("memory.max", "memory.limit_in_bytes")}
_MEMORY_USED: Final = ("memory.current", "memory.usage_in_bytes")
_UNLIMITED: Final = 2**62
"""Version 1 says no limit by a number of bytes that no machine has."""
_PROC: Final = Path("/proc")
_EMPTIES_S: Final = 3.0


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy, as far as it has one controller."""

    controller: str
    """As version 2 calls it: ``cpu``, ``memory``, ``pids``, ``io``; empty for none in particular."""
    version: int
    root: Path
    """Where it is mounted; a recorded tree does too."""
    top: str = "/"
    """The cgroup that is mounted there, as ``/proc/PID/cgroup`` calls it."""
    proc: Path = _PROC

    def of(self, pid: int) -> Path:
        """The directory of the cgroup that a process is in. Raises ``UnavailableError`` if it is gone, or not seen."""
        try:
            lines = (self.proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UnavailableError(f"the cgroup of process {pid} cannot be told: {error.strerror}.") from None
        wanted = _VERSION_1.get(self.controller, self.controller)
        for number, controllers, path in (line.split(":", 2) for line in lines):
            if (number == "0") if self.version == 2 else (wanted in controllers.split(",")):
                inside = os.path.relpath(path, self.top)
                if not inside.startswith("..") and (self.root / inside).is_dir():
                    return self.root / inside
        raise UnavailableError(f"the {self.controller} cgroup of process {pid} is not seen from here.")


def hierarchies(proc: Path = _PROC) -> tuple[Hierarchy, ...]:
    """All that are mounted here, one for each controller; version 2's without controllers too."""
    found: list[Hierarchy] = []
    for line in (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        top, where = (part.replace("\\040", " ") for part in left.split()[3:5])
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup":
            named = [name for name in _CONTROLLERS if _VERSION_1.get(name, name) in options.split(",")]
            found += [Hierarchy(name, 1, Path(where), top, proc) for name in named]
        elif kind == "cgroup2":
            found += [Hierarchy(name, 2, Path(where), top, proc) for name in ("", *words(Path(where), "controllers"))]
    return tuple(found)


def hierarchy(controller: str) -> Hierarchy:
    """The one with a controller. Raises ``UnavailableError`` that says why this machine has none."""
    mounted = hierarchies()
    for one in mounted:
        if one.controller == controller:
            return one
    name = _VERSION_1.get(controller, controller)
    raise UnavailableError(f"this machine has no cgroup controller {name}: {_why_not(name, mounted)}.")


def _why_not(name: str, mounted: tuple[Hierarchy, ...]) -> str:
    """Why a controller is not there, and what to do about it, without an end."""
    rows = (line.split() for line in (_PROC / "cgroups").read_text(encoding="ascii").splitlines()[1:])
    number, enabled = next(((row[1], row[3]) for row in rows if row[0] == name), ("0", "1"))
    if enabled == "0":
        return f"the kernel was started without it; boot with cgroup_enable={name}"
    if number != "0":  # a kernel with nothing but version 2 says so of none
        return f"version 1 has it, mounted nowhere here; mount it (mount -t cgroup -o {name} {name} DIRECTORY)"
    if root := next((str(one.root) for one in mounted if one.version == 2), None):
        return f"cgroup2 on {root} does not have it; have it handed down to the service or container of Murphy"
    return "no cgroups that could have it are mounted; mount cgroup2 on /sys/fs/cgroup"


def own(where: Hierarchy, pid: int, ticks: int) -> bool:
    """Whether nobody but that very process, its workers and helpers of ours is in its cgroup or below.

    The root is nobody's own. Raises ``UnavailableError`` if the process is gone.
    """
    directory = where.of(pid)
    return directory != where.root and not strangers(directory, pid, ticks)


def own_place(controller: str, pid: int, ticks: int) -> str:
    """The directory of that very process's cgroup, if it is its own and a helper of ours may go there; else empty.

    Raises ``UnavailableError`` if the process is gone.
    """
    process.require(pid, ticks)
    try:
        where = hierarchy(controller)
        directory = where.of(pid)
    except UnavailableError:
        return ""
    return str(directory) if os.access(directory, os.W_OK) and own(where, pid, ticks) else ""


def own_and_limited(controller: str, pid: int, ticks: int) -> bool:
    """Whether that very process has a cgroup of its own, which has a limit: whatever is in it takes no more than that.

    Raises ``UnavailableError`` if the process is gone.
    """
    directory = own_place(controller, pid, ticks)
    return bool(directory) and limit(controller, Path(directory)) is not None


def limit(controller: str, directory: Path) -> int | None:
    """The limit of a cgroup: bytes of memory, or µs of processor time in each period; ``None``: it has none."""
    said = _first(directory, _LIMITS[controller])
    return None if said in ("", "max", "-1") or int(said) >= _UNLIMITED else int(said)


def cores(directory: Path) -> float | None:
    """How many processors a cgroup may use at once by its limit; ``None``: it has none."""
    if (quota := limit("cpu", directory)) is None:
        return None
    with suppress(OSError, ValueError, IndexError):
        if (both := directory / "cpu.max").exists():
            return quota / int(both.read_text(encoding="ascii").split()[1])
        return quota / int((directory / "cpu.cfs_period_us").read_text(encoding="ascii"))
    return None


def ends_together(directory: Path) -> bool:
    """Whether the kernel ends all of a cgroup, or of one above it, where its memory runs out, and not one process.

    Of version 2: engines of Kubernetes and systemd (``OOMPolicy=kill``) set it.
    """
    return any(_first(place, ("memory.oom.group",)) == "1" for place in (directory, *directory.parents))


def memory_kills(directory: Path) -> int:
    """How many processes the kernel has ended in a cgroup for want of memory; 0 where nothing says so."""
    for name in ("memory.events", "memory.oom_control"):
        with suppress(OSError):
            for line in (directory / name).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def memory_used(directory: Path) -> int:
    """Memory that a cgroup and those below it use and could not do without at once, bytes.

    Source: kubelet's working set: usage without the cached files that have not been used lately.
    """
    used = int(_first(directory, _MEMORY_USED) or 0)
    with suppress(OSError):
        lines = (directory / "memory.stat").read_text(encoding="ascii").splitlines()
        said = {name: int(number) for name, number in (line.split() for line in lines)}
        used -= said.get("total_inactive_file", said.get("inactive_file", 0))
    return max(0, used)


def _first(directory: Path, names: tuple[str, ...]) -> str:
    """The first word of whichever file is there; the other one is the other version's."""
    for name in names:
        with suppress(OSError):
            return (directory / name).read_text(encoding="ascii").split()[0]
    return ""


def strangers(directory: Path, pid: int, ticks: int) -> set[int]:
    """Who is in a cgroup or below beside that very process and its workers; helpers of ours do not count.

    Raises ``UnavailableError`` if the process is gone.
    """
    inside = {one for where, _, _ in os.walk(directory) for one in members(Path(where))}
    others = inside - {member for member, _ in process.members(pid, ticks)}
    return others and others - {helper.found.pid for helper in child.helpers()}


def dissolve(directory: Path, origin: Path) -> None:
    """Send everything in a cgroup of ours back where it came from, and remove it. Idempotent.

    Where the origin is gone, the nearest cgroup above it that is there takes them. Raises ``UnavailableError`` if the
    cgroup stays.
    """
    while not (origin / "cgroup.procs").exists() and origin != origin.parent:
        origin = origin.parent
    until = time.monotonic() + _EMPTIES_S
    while directory.is_dir():
        for pid in members(directory):
            enter(origin, pid)
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # a process that ends is in it until it has ended
            if time.monotonic() > until:
                raise UnavailableError(f"cgroup {directory} cannot be removed: {error.strerror}.") from None
            time.sleep(0.01)


@dataclass(frozen=True)
class Made:
    """A cgroup of ours that was found by its name, and says so."""

    directory: Path
    origin: Path
    holder: tuple[int, int]
    """Pid and start time of the executor that made it."""


def made() -> Iterator[Made]:
    """All cgroups of ours on this machine, the lowest first."""
    for root in {each.root for each in hierarchies()}:
        for where, names, _ in os.walk(root, topdown=False):
            for name in names:
                if name.startswith(PREFIX) and (told := _told(Path(where) / name)):
                    yield told


def places(pid: int) -> list[str]:
    """Directories of the cgroups that a process is in, of each hierarchy that is mounted here."""
    found = []
    for each in hierarchies():
        with suppress(UnavailableError):
            found.append(str(each.of(pid)))
    return sorted(set(found))


def join(directories: Iterable[str]) -> None:
    """Go into these cgroups, where we are not in them already and may; one that is gone is left out."""
    for directory in set(directories) - set(places(os.getpid())):
        with suppress(OSError):
            enter(Path(directory), os.getpid())


def parent_of_ours(where: Hierarchy, directory: Path) -> Path:
    """Where a cgroup of ours goes for a process that is in this one."""
    return directory if where.version == 1 or directory == where.root else directory.parent


def make(directory: Path, origin: str) -> None:
    """Make a cgroup of ours. Raises ``OSError``."""
    directory.mkdir(exist_ok=True)
    told = json.dumps({"holder": [os.getpid(), own_ticks()], "origin": origin})
    with suppress(OSError):  # a recorded tree may lie where there are none
        os.setxattr(directory, _ATTRIBUTE, told.encode())


def _told(directory: Path) -> Made | None:
    """What a cgroup says of itself; ``None`` if it does not say that it is ours, whatever its name."""
    try:
        told = json.loads(os.getxattr(directory, _ATTRIBUTE))
        return Made(directory, Path(told["origin"]), tuple(told["holder"]))
    except (OSError, ValueError, KeyError):
        return None


def enter(directory: Path, pid: int) -> None:
    """Move a process there with all its threads; nothing if it has ended. Raises ``OSError``."""
    with suppress(ProcessLookupError):  # it has ended
        (directory / "cgroup.procs").write_text(str(pid), encoding="ascii")


def members(directory: Path) -> list[int]:
    """Pids of the processes in a cgroup itself; none if it is gone."""
    try:
        return [int(pid) for pid in (directory / "cgroup.procs").read_text(encoding="ascii").split()]
    except OSError:  # it is gone
        return []


def words(directory: Path, name: str) -> list[str]:
    """What ``cgroup.NAME`` lists; nothing if there is none."""
    try:
        return (directory / f"cgroup.{name}").read_text(encoding="ascii").split()
    except OSError:
        return []
