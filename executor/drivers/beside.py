"""Who shares with an instance what a fault on it reaches: seen on this machine. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.clock import boot_id, start_ticks
from executor.drivers.targets import LibvirtTarget, ProcessTarget, ResolvedInstance, SshTarget
from executor.errors import UnavailableError
from executor.kernel import child, netns, process, volume
from executor.model.vocabulary import Scope


@dataclass(frozen=True)
class Beside:
    """What is struck along with an instance."""

    instances: frozenset[str] = frozenset()
    """Ids of instances of the system."""
    strangers: tuple[str, ...] = ()
    """What is no instance of the system, or may be one: each in words."""

    def __or__(self, other: Beside) -> Beside:
        strangers = tuple(dict.fromkeys((*self.strangers, *other.strangers)))
        return Beside(self.instances | other.instances, strangers)


def here(target: ProcessTarget, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]) -> Beside:
    """Who shares that with a process of this machine.

    Only what shares a network, a directory or a volume of its own is called a stranger: on a machine, and on what the
    machine itself needs, there are always some. Raises ``UnavailableError`` if it cannot be told.
    """
    local = [other for other in others if isinstance(other, ProcessTarget)]
    if scope is Scope.TARGET:
        return Beside(frozenset(other.instance for other in local if target.pid in _lineage(other.pid)))
    if scope is Scope.MACHINE:
        return Beside(frozenset(other.instance for other in (*local, *filter(_is_here, others))))
    if scope is Scope.NETWORK:
        net = netns.of(target.pid, target.start_ticks)
        return Beside() if net is None else _sharing(target, local, lambda pid: _net(pid) == net, all_of_them=True)
    if scope in (Scope.VOLUME, Scope.DIRECTORY):
        return _on(Path(fault.path), scope, target, local)
    return Beside()


def _is_here(other: ResolvedInstance) -> bool:
    """Whether it is on this machine, though no process of it is known here."""
    if isinstance(other, SshTarget):
        return other.boot == boot_id()
    return isinstance(other, LibvirtTarget) and ":///" in other.uri  # a connection without a host


def _on(path: Path, scope: Scope, target: ProcessTarget, local: Sequence[ProcessTarget]) -> Beside:
    try:
        device, shared = path.stat().st_dev, scope is Scope.VOLUME and volume.is_hosts(path)
    except OSError as error:
        raise UnavailableError(f"cannot be looked at: {error.strerror}.", where=str(path)) from None

    def uses(pid: int) -> bool:
        if scope is Scope.DIRECTORY:
            return any(file.is_relative_to(path) for file in _files(pid))
        return any(_device(file) == device for file in _files(pid))

    kept = {other.instance for other in local if any(_within(path, device, scope, d) for d in _directories(other))}
    found = _sharing(target, local, uses, all_of_them=not shared)
    return Beside(found.instances | kept, found.strangers)


def _sharing(
    target: ProcessTarget, local: Sequence[ProcessTarget], shares: Callable[[int], bool], *, all_of_them: bool
) -> Beside:
    """Instances of which a process shares it, and, if all are asked for, the processes of nobody that do."""
    known = {other.instance: _members(other) for other in local}
    own = {os.getpid(), *_members(target), *(helper.found.pid for helper in child.helpers())}
    struck = frozenset(name for name, pids in known.items() if any(map(shares, pids)))
    others = set(process.pids()) - own - set().union(*known.values()) if all_of_them else ()
    return Beside(struck, tuple(map(_called, filter(shares, sorted(others)))))


def _members(target: ProcessTarget) -> set[int]:
    try:
        return {pid for pid, _ in process.members(target.pid, target.start_ticks)}
    except UnavailableError:  # it has ended
        return set()


def _files(pid: int) -> Iterator[Path]:
    """Files that a process has open by name."""
    try:
        entries = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:  # it ended, or is another user's
        return
    for entry in entries:
        with suppress(OSError):
            name = os.readlink(entry.path)  # noqa: PTH115 - as a path it would be followed
            if name.startswith("/") and not name.startswith(("/dev/", "/proc/")):
                yield Path(name)


def _device(file: Path) -> int | None:
    with suppress(OSError):
        return file.stat().st_dev
    return None


def _directories(target: ProcessTarget) -> Iterable[str]:
    return target.service.directories


def _within(path: Path, device: int, scope: Scope, directory: str) -> bool:
    """Whether a directory of a service's data is struck with ``path``."""
    other = Path(directory)
    if scope is Scope.VOLUME:
        return _device(other) == device
    return other.is_relative_to(path) or path.is_relative_to(other)


def _net(pid: int) -> int | None:
    with suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


def _lineage(pid: int) -> Iterator[int]:
    """The ancestors of a process."""
    above = process.parent(pid)
    while above:
        yield above
        above = process.parent(above)


def _called(pid: int) -> str:
    words = process.command_line(pid) if start_ticks(pid) is not None else ()
    return f"process {pid} ({Path(words[0]).name if words else 'out of sight'})"
