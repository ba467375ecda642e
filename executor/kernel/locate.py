"""Which process an instance means: the one place that finds it. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from executor.clock import start_ticks
from executor.errors import UnavailableError
from executor.kernel import naming, sockets
from executor.kernel.process import (
    LEASE_SUFFIX,
    Found,
    command_line,
    executable,
    lineage,
    parent,
    pids,
    require,
    same_program,
)

if TYPE_CHECKING:
    from executor.model.system import ProcessInstance

_WORDS = "; command is whole arguments, of which the first may be the end of a path."


def find(instance: ProcessInstance) -> Found:
    """The process an instance means, right now.

    Of several that share a listening socket (a server and its workers) it is the one whose parent is not among them.
    Raises ``UnavailableError`` if there is none, more than one, or a pinned one is gone.
    """
    if instance.pid is not None and instance.start_ticks is not None:
        require(instance.pid, instance.start_ticks)
        return Found(instance.pid, instance.start_ticks)
    heads = heads_of(instance)
    if not heads:
        near = ", ".join(map(_shown, _near(instance)))
        raise UnavailableError(
            f"no process that we may look at {_wanted(instance)}"
            + (f"; {near} only names it among what it is told." if near else "."),
            where=instance.id,
            hint=f"Start it, or run Murphy as the user who runs it{_WORDS if near else '.'}",
        )
    if len(heads) > 1:
        raise UnavailableError(
            f"{len(heads)} processes fit, and one should: each {_wanted(instance)} ({', '.join(map(_shown, heads))}).",
            where=instance.id,
            hint="Make command or port more exact, with the program as it was started (python3 worker.py), for "
            "instance, or give its pid and start_ticks.",
        )
    ticks = start_ticks(heads[0])
    if ticks is None:
        raise UnavailableError(f"process {heads[0]} ended while it was looked at.", where=instance.id)
    return Found(heads[0], ticks)


def heads_of(instance: ProcessInstance) -> list[int]:
    """Pids of the processes that fit an instance's port and command line, pinned or not; their workers are left out.

    Without a port a child that fits is its parent's worker only if it runs the same program: else it is not told which
    of them is meant.
    """
    matching = set(_matches(instance))
    parents = {pid: parent(pid) for pid in matching}
    return sorted(
        pid
        for pid, above in parents.items()
        if above is not None  # else it ended
        and not (above in matching and (instance.port or _runs_the_same(above, pid)))
    )


def _runs_the_same(above: int, pid: int) -> bool:
    return executable(above) == executable(pid) and same_program(above, pid)


def _matches(instance: ProcessInstance) -> Iterator[int]:
    """Pids that fit, this process and Murphy's helpers aside: those are told in words what they strike."""
    wanted = frozenset(sockets.listeners(instance.port)) if instance.port else None
    if wanted is not None and not wanted:
        return
    for pid in pids():
        words = command_line(pid) if instance.command else ()
        if pid == os.getpid() or not naming.fits(instance.command, words) or _is_helper(words):
            continue
        if start_ticks(pid) is not None and (wanted is None or wanted & sockets.held(pid)):
            yield pid


def _near(instance: ProcessInstance) -> list[int]:
    """Pids of processes that have the text somewhere in their command lines."""
    if not instance.command or instance.port:
        return []
    lines = ((pid, command_line(pid)) for pid in pids() if pid not in lineage(os.getpid()))
    return [pid for pid, words in lines if instance.command in " ".join(words) and not _is_helper(words)]


def _shown(pid: int) -> str:
    return f"{pid} ({naming.called(command_line(pid))})"


def _is_helper(words: tuple[str, ...]) -> bool:
    return any(word.endswith(LEASE_SUFFIX) for word in words)


def _wanted(instance: ProcessInstance) -> str:
    port = f"listens on port {instance.port}" if instance.port else ""
    command = f"has {instance.command!r} in its command line" if instance.command else ""
    return " and ".join(filter(None, (port, command)))
