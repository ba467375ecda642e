"""Limits on the cgroup of a process, set and undone.

A limit goes on the process's own cgroup. Where others are in it too, the process and its workers are moved into a
cgroup of ours for as long as the limit stands: below theirs in version 1, so that what limits them still does; beside
it in version 2, where a cgroup that has processes can have none below, with its limits copied. Standard library only:
the watchdog uses it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from executor.errors import UnavailableError
from executor.kernel import cgroup, process
from executor.kernel.cgroup import Hierarchy

_INHERITED: Final = ("cpu.max", "memory.max", "memory.high", "memory.swap.max", "pids.max", "io.max")
_BY_OPTION: Final = {
    ("cpu", 1): ("cpu.cfs_quota_us", "CONFIG_CFS_BANDWIDTH"),
    ("io", 1): ("blkio.throttle.read_bps_device", "CONFIG_BLK_DEV_THROTTLING"),
}
"""Files that not every kernel has, each in the root too, with its option."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PASSES: Final = 3
"""A process may fork while it is moved; its child is found in the next pass."""


def unusable(controller: str) -> str | None:
    """Why nothing at all can be limited by a controller here, in one sentence with what to do about it; else ``None``.

    ``controller`` as version 2 calls it.
    """
    try:
        where = cgroup.hierarchy(controller)
        read_only = os.statvfs(where.root).f_flag & os.ST_RDONLY
    except (UnavailableError, OSError) as error:
        return str(error)
    if read_only:
        return f"cgroups on {where.root} are mounted read-only; mount them writable, or run Murphy on the host itself."
    file, option = _BY_OPTION.get((controller, where.version), ("", ""))
    if not (where.root / file).exists():
        return f"this kernel has no {file}; use one with {option}."
    return None


def impossible(where: Hierarchy, pid: int, ticks: int) -> str | None:
    """Why no limit can be set on that very process, in one sentence; ``None`` if it can."""
    try:
        directory = where.of(pid)
        place = directory if cgroup.own(where, pid, ticks) else cgroup.parent_of_ours(where, directory)
    except UnavailableError as error:
        return str(error)
    if not os.access(place, os.W_OK):
        return f"cgroup {place} is not ours to change; run Murphy as root."
    if where.version == 2 and place != directory and where.controller not in cgroup.words(place, "subtree_control"):
        return (
            f"process {pid} shares its cgroup, and {place} hands down no {where.controller} controller;"
            " start it in a cgroup of its own (systemd-run --scope does)."
        )
    return None


def plan(where: Hierarchy, pid: int, ticks: int, settings: Mapping[str, str], mark: str) -> dict[str, Any]:
    """The record of a limit: which files get which text, and what they said before. Touches nothing.

    Raises ``UnavailableError`` if the process is gone, or its cgroup cannot be told.
    """
    members = process.members(pid, ticks)
    directory = where.of(pid)
    record: dict[str, Any] = {"members": members, "settings": dict(settings)}
    if cgroup.own(where, pid, ticks):
        before = {name: _reading(directory / name, text) for name, text in settings.items()}
        return record | {"cgroup": str(directory), "before": before}
    copied = {}
    for name in _INHERITED if where.version == 2 else ():
        with suppress(OSError):
            copied[name] = (directory / name).read_text(encoding="ascii").strip()
    return record | {
        "cgroup": str(cgroup.parent_of_ours(where, directory) / mark),
        "origin": str(directory),
        "copied": copied,
    }


def impose(record: Mapping[str, Any]) -> None:
    """Set the limit. Raises ``UnavailableError`` if the process is gone, or the kernel refuses; then ``lift`` it."""
    directory, head = Path(record["cgroup"]), record["members"][0]
    process.require(*head)
    try:
        if "origin" in record:
            cgroup.make(directory, record["origin"])
            _write(directory, record["copied"])
        elif others := cgroup.strangers(directory, *head):
            raise UnavailableError(f"process {min(others)} has come into {directory} meanwhile; nothing is limited.")
        _write(directory, record["settings"])
        if "origin" in record:
            _move_in(directory, Path(record["origin"]), head)
    except OSError as error:
        raise UnavailableError(f"cgroup {directory} takes no such limit: {error.strerror}.") from None
    process.require(*head)


def imposed(record: Mapping[str, Any]) -> bool:
    """Whether the limit stands: our cgroup is there, or the target's own says something else than before."""
    directory = Path(record["cgroup"])
    if "origin" in record:
        return directory.is_dir()
    return any(now != record["before"][name] for name, now in _now(directory, record["before"]))


def lift(record: Mapping[str, Any]) -> None:
    """Undo ``impose``. Idempotent, also when the process or its cgroup is gone.

    Raises ``UnavailableError`` if a cgroup of ours stays, or a file cannot be written.
    """
    directory = Path(record["cgroup"])
    if "origin" in record:
        cgroup.dissolve(directory, Path(record["origin"]))
        return
    try:
        there = [name for name, _ in _now(directory, record["before"])]
        _write(directory, {name: record["before"][name] for name in reversed(there)})
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"the limits of {directory} cannot be restored: {error.strerror}.") from None


def cpu_quota(where: Hierarchy, percent: float) -> dict[str, str]:
    """Processor time of so many percent of one core."""
    period_us = 100_000
    quota_us = str(max(1000, round(period_us * percent / 100)))
    if where.version == 2:
        return {"cpu.max": f"{quota_us} {period_us}"}
    return {"cpu.cfs_period_us": str(period_us), "cpu.cfs_quota_us": quota_us}


_MEMORY: Final = {
    1: {
        "memory.limit_in_bytes": "memory.usage_in_bytes",
        "memory.memsw.limit_in_bytes": "memory.memsw.usage_in_bytes",
    },
    2: {"memory.swap.max": "memory.swap.current", "memory.max": "memory.current"},
}
"""Files that limit memory, swap and both, and those that say how much of it is used; in the order of lowering them."""


def memory_shortage(where: Hierarchy, directory: Path, room: int, *, empty: bool) -> dict[str, str]:
    """So many bytes more than a cgroup uses, in whole pages; a limit that is lower already stays.

    ``empty``: for a cgroup to be made below it or beside it, which uses none. Raises ``OSError`` if it is gone.
    """
    settings = {}
    for limit, used in _MEMORY[where.version].items():
        if (directory / limit).exists():  # without swap in the kernel there is none to limit
            now = 0 if empty else int((directory / used).read_text(encoding="ascii"))
            most = 0 if limit == "memory.swap.max" else (now + room) // _PAGE * _PAGE
            before = (directory / limit).read_text(encoding="ascii").strip()
            settings[limit] = before if before.isdecimal() and int(before) < most else str(most)
    return settings


def io_limit(where: Hierarchy, device: str, rates: Mapping[str, int]) -> dict[str, str]:
    """Rates of one disk (``8:0``): ``rbps``, ``wbps`` in bytes, ``riops``, ``wiops`` in operations, each a second."""
    if where.version == 2:
        return {"io.max": " ".join((device, *(f"{name}={rate}" for name, rate in rates.items())))}
    names = {"rbps": "read_bps", "wbps": "write_bps", "riops": "read_iops", "wiops": "write_iops"}
    return {f"blkio.throttle.{names[name]}_device": f"{device} {rate}" for name, rate in rates.items()}


def _move_in(directory: Path, origin: Path, head: list[int]) -> None:
    """The process and its workers, as far as they are where it is."""
    for _ in range(_PASSES):
        still = set(cgroup.members(origin))
        for pid, ticks in process.members(*head):
            if pid in still and process.alive(pid, ticks):
                cgroup.enter(directory, pid)


def _now(directory: Path, before: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What the files say now that said something before; none if the cgroup is gone."""
    for name, text in before.items():
        with suppress(FileNotFoundError):
            yield name, _reading(directory / name, text)


def _reading(file: Path, like: str) -> str:
    """What a file says, so that writing it back restores it; of a file with a line for each disk, that of one."""
    text = file.read_text(encoding="ascii").strip()
    device = like.partition(" ")[0]
    if ":" not in device:
        return text
    for line in text.splitlines():
        if line.partition(" ")[0] == device:
            return line.strip()
    return f"{device} rbps=max wbps=max riops=max wiops=max" if file.name == "io.max" else f"{device} 0"


def _write(directory: Path, settings: Mapping[str, str]) -> None:
    for name, text in settings.items():
        for line in text.splitlines():  # of a file with a line for each disk, the kernel takes one at a time
            (directory / name).write_text(line, encoding="ascii")
