"""What targets are, whatever a system calls them: the very processes, containers and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from executor.clock import boot_id
from executor.drivers.targets import (
    Contained,
    Ec2Target,
    EdgeTargets,
    LibvirtTarget,
    PodTarget,
    ProcessTarget,
    Resolved,
    SshTarget,
)
from executor.errors import UnavailableError
from executor.kernel import process


def bodies(targets: Iterable[Resolved]) -> tuple[str, ...]:
    """Each process with its workers, an edge's callers too; each container, pod and machine by its id.

    Raises ``UnavailableError`` if a process is gone.
    """
    return tuple(sorted({body for target in targets for body in _of(target)}))


def _of(target: Resolved) -> Iterator[str]:
    if isinstance(target, EdgeTargets):
        for caller in (caller for callers in target.callers.values() for caller in callers):
            with suppress(UnavailableError):  # an edge can be struck though its caller is down
                yield from _of(caller)
    if isinstance(target, ProcessTarget):
        for pid, ticks in process.members(target.pid, target.start_ticks):
            yield _process(pid, ticks, boot_id())
    if isinstance(target, SshTarget):
        yield _process(target.pid, target.start_ticks, target.boot)
    yield from _named(target)


def _named(target: Resolved) -> Iterator[str]:
    if isinstance(target, Contained):
        yield f"container {target.container}"
    if isinstance(target, PodTarget):
        yield f"pod {target.pod}/{target.uid}"
    if isinstance(target, LibvirtTarget):
        yield f"virtual machine {target.uuid}"
    if isinstance(target, Ec2Target):
        yield f"machine {target.ec2}"


def _process(pid: int, ticks: int, boot: str) -> str:
    return f"process {pid}/{ticks} {boot}"
