"""The local processes a discovery looks at: what is read of each, and which are in scope."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from executor.errors import InputError, UnavailableError
from knowledge.topology.sockets import listening_ports


@dataclass(frozen=True)
class Scope:
    """Which processes to look at; several options narrow it together. Nothing given: the own user's.

    Local servers that a process in scope calls are taken in too, whoever owns them.
    """

    tree_of: int | None = None
    """This process and all its descendants."""
    ports: tuple[int, ...] = ()
    """Processes that listen on these TCP ports."""
    command: str | None = None
    """Glob over the whole command line, ``*catalog*``; without wildcard: text that it contains."""


@dataclass(frozen=True)
class Container:
    """The container that a process stands for."""

    name: str
    engine: str
    """Where its engine answers."""
    service: str
    """What it is one of."""


@dataclass(frozen=True)
class Process:
    """One process as it was when looked at."""

    pid: int
    parent: int
    start_ticks: int
    name: str
    argv: tuple[str, ...]
    cwd: str
    uid: int
    environment: Mapping[str, str] = field(repr=False)
    """Stays in memory only: values may be secrets, so none is ever stored or printed."""
    ports: frozenset[int] = frozenset()
    """TCP ports it listens on."""
    container: Container | None = None
    """If it is only the way into one."""

    @property
    def command(self) -> str:
        """The command line, arguments joined by spaces."""
        return " ".join(self.argv)


def snapshot() -> dict[int, Process]:
    """Every process that can be read, by pid; kernel threads and zombies left out."""
    attributes = ["pid", "ppid", "name", "cmdline", "cwd", "uids", "environ", "status"]
    seen = [p.info for p in psutil.process_iter(attributes) if p.info["cmdline"]]
    ports = listening_ports([info["pid"] for info in seen])
    found = {}
    for info in seen:
        ticks = _start_ticks(info["pid"])
        if ticks is None or info["status"] == psutil.STATUS_ZOMBIE:
            continue
        found[info["pid"]] = Process(
            pid=info["pid"],
            parent=info["ppid"],
            start_ticks=ticks,
            name=info["name"],
            argv=tuple(argument for argument in info["cmdline"] if argument),
            cwd=info["cwd"] or "",
            uid=info["uids"].real if info["uids"] else -1,
            environment=info["environ"] or {},
            ports=frozenset(ports.get(info["pid"], ())),
        )
    return found


def select(processes: Mapping[int, Process], scope: Scope) -> set[int]:
    """Pids in scope, never Murphy's own process. Raises ``UnavailableError`` if the tree's root is gone."""
    if scope.tree_of is not None and scope.tree_of not in processes:
        raise UnavailableError(f"no process {scope.tree_of} is running", hint="Give the pid of the running starter.")
    for port in scope.ports:
        if not 1 <= port <= 65535:
            raise InputError(f"{port} is not a TCP port", hint="Ports are 1 to 65535.")
    pids = set(processes)
    if scope.tree_of is not None:
        pids &= descendants(processes, scope.tree_of) | {scope.tree_of}
    if scope.ports:
        pids &= {pid for pid in pids if processes[pid].ports & set(scope.ports)}
    if scope.command is not None:
        pattern = scope.command if set(scope.command) & set("*?[") else f"*{scope.command}*"
        pids &= {pid for pid in pids if fnmatch.fnmatchcase(processes[pid].command, pattern)}
    if scope == Scope():
        pids &= {pid for pid in pids if processes[pid].uid == os.getuid()}
    return pids - {os.getpid()}


def descendants(processes: Mapping[int, Process], root: int) -> set[int]:
    """Pids of all children, grandchildren and so on."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    todo = [root]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def ancestors(processes: Mapping[int, Process], pid: int) -> Iterable[int]:
    """Pids of parent, grandparent and so on, nearest first."""
    seen: set[int] = set()
    while pid in processes and (pid := processes[pid].parent) in processes and pid not in seen:
        seen.add(pid)
        yield pid


def heads(processes: Mapping[int, Process], pids: Collection[int]) -> dict[int, int]:
    """Folds workers into their listener: each pid's head, itself if it stands alone.

    A child that shares its parent's listening socket, or that listens on nothing, belongs to the nearest ancestor
    that listens. An ancestor that has listeners of other ports below it is a supervisor, and keeps only its forks.
    """
    result = {}
    for pid in pids:
        head = pid
        for above in ancestors(processes, pid):
            if above in pids and _belongs(processes, processes[head], processes[above]):
                head = above
        result[pid] = head
    return result


def _belongs(processes: Mapping[int, Process], child: Process, above: Process) -> bool:
    if not above.ports:
        return False
    if child.ports:
        return child.ports <= above.ports
    below = descendants(processes, above.pid)
    supervisor = any(processes[pid].ports - above.ports for pid in below)
    return not supervisor or child.argv == above.argv


def _start_ticks(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            stat = file.read()
    except OSError:
        return None
    return int(stat.rsplit(")", 1)[1].split()[19])
