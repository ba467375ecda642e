"""Live discovery: the system that runs on this machine, from its processes and sockets alone. Changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping

from executor.errors import UnavailableError
from executor.model.system import System
from knowledge.topology.addresses import is_ambient, told
from knowledge.topology.calls import Call, dependencies
from knowledge.topology.containers import with_containers
from knowledge.topology.processes import Process, Scope, ancestors, heads, select, snapshot
from knowledge.topology.proxies import ProxiedEdge, is_proxy, proxied_edges
from knowledge.topology.services import Group, group, service
from knowledge.topology.sockets import CallSampler

__all__ = ["Scope", "discover"]

_MURPHY = ("-m executor.", "-m planner.")


def discover(scope: Scope | None = None, window_s: float = 3.0, *, name: str = "local", rate_hz: float = 50) -> System:
    """The services in scope and who calls whom, watched for ``window_s`` seconds at ``rate_hz`` looks a second.

    A service is a program that listens, or one that was seen to call a listener; several processes of one program are
    its instances, except for databases, caches and queues, whose data differ. Edges that carried nothing in the window
    and of which no address was given are not found.

    Raises ``UnavailableError`` if the scope holds no service, ``InputError`` for a scope that makes no sense.
    """
    scope = scope or Scope()
    processes = with_containers(snapshot())
    proxies = proxied_edges(processes.values())
    servers = _servers(processes)
    members = {pid for pid in select(processes, scope) if not is_proxy(processes[pid])}
    calls = _told_calls(processes, members, proxies, servers)
    members |= _reached(calls, proxies, servers)

    callers = {pid for pid in members if processes[pid].container is None}  # a way in calls nobody on its own account
    sampler = CallSampler(callers, {*servers, *proxies})
    sampler.watch(window_s, rate_hz)
    calls += [Call(pid, port, "socket") for pid, port in sampler.calls]
    members |= _reached(calls, proxies, servers)

    groups = _groups(processes, members, {pid for pid, _ in sampler.calls})
    if not groups:
        raise UnavailableError(
            "no service was found: no process in scope listens on a TCP port or talks to one.",
            hint="Start the system first, or widen the scope.",
        )
    edges = dependencies(groups, calls, proxies, can_redirect=_can_redirect())
    return System(name=name, services=tuple(service(found, edges) for found in groups), dependencies=edges)


def _servers(processes: Mapping[int, Process]) -> dict[int, int]:
    """Port → pid of the process that listens there; of several (forks), the one that started the others."""
    listening = [pid for pid, process in processes.items() if process.ports]
    folded = heads(processes, listening)
    return {port: folded[pid] for pid in sorted(listening) for port in processes[pid].ports}


def _told_calls(
    processes: Mapping[int, Process],
    members: Collection[int],
    proxies: Mapping[int, ProxiedEdge],
    servers: Mapping[int, int],
) -> list[Call]:
    found = []
    for pid in members:
        process = processes[pid]
        for address in told(process):
            callee = _callee(address.port, proxies, servers)
            if callee is None or not process.ports:
                continue
            way = proxies.get(address.port)
            others = (processes.get(process.parent), processes[callee], way.proxy if way else None)
            if not is_ambient(address, process, others):
                found.append(Call(pid, address.port, address.origin, address.protocol))
    return found


def _callee(port: int, proxies: Mapping[int, ProxiedEdge], servers: Mapping[int, int]) -> int | None:
    return servers.get(proxies[port].upstream if port in proxies else port)


def _reached(calls: list[Call], proxies: Mapping[int, ProxiedEdge], servers: Mapping[int, int]) -> set[int]:
    return {pid for call in calls if (pid := _callee(call.port, proxies, servers)) is not None} - {os.getpid()}


def _groups(processes: Mapping[int, Process], members: set[int], talkers: set[int]) -> list[Group]:
    """Members that are services, by program: those that listen, and those that talk and started no listener."""
    alive = {pid for pid in members if os.path.exists(f"/proc/{pid}")}  # noqa: PTH110
    folded = heads(processes, alive)
    above = {a for pid in alive if processes[pid].ports for a in ancestors(processes, pid)}
    above |= set(ancestors(processes, os.getpid()))
    chosen: dict[int, set[int]] = {}
    for pid, head in folded.items():
        if processes[head].ports or (head in talkers and head not in above and not _is_murphy(processes[head])):
            chosen.setdefault(head, set()).add(pid)
    return group([(processes[head], frozenset(pids)) for head, pids in sorted(chosen.items())])


def _is_murphy(process: Process) -> bool:
    names = [os.path.basename(argument) for argument in process.argv[:2]]  # noqa: PTH119
    return "murphy" in names or any(text in process.command for text in _MURPHY)


def _can_redirect() -> bool:
    return os.geteuid() == 0 and shutil.which("nft") is not None
