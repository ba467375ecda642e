"""From processes to services: what belongs together, and what to call it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from executor.kernel.naming import fits
from executor.model.system import ContainerInstance, Dependency, ProcessInstance, Service
from executor.model.vocabulary import ServiceKind
from knowledge.topology.processes import Process
from knowledge.topology.programs import Program, legal, program
from knowledge.topology.technology import Technology, recognise

_STATEFUL = (ServiceKind.DATABASE, ServiceKind.CACHE, ServiceKind.QUEUE)
_USUAL_PORT = {"postgresql": 5432, "redis": 6379, "valkey": 6379, "rabbitmq": 5672}


@dataclass(frozen=True)
class Group:
    """Processes that are one service. ``pids`` holds workers too, ``members`` only the heads."""

    name: str
    program: Program
    technology: Technology
    members: tuple[Process, ...]
    pids: frozenset[int]

    @property
    def ports(self) -> frozenset[int]:
        """All ports of all members."""
        return frozenset().union(*(member.ports for member in self.members))


def group(processes: Iterable[tuple[Process, frozenset[int]]]) -> list[Group]:
    """One group for each program, each with its own name, in the order of names.

    Databases, caches and queues are not grouped: two of them hold different data, so one cannot stand in for the other.
    """
    found: dict[tuple[str, ...], list[tuple[Process, frozenset[int]]]] = {}
    programs: dict[tuple[str, ...], tuple[Program, Technology]] = {}
    for process, pids in processes:
        made_of = program(process)
        technology = recognise(process, made_of.words, made_of.script)
        key = made_of.key
        if technology.kind in _STATEFUL:
            key = (*key, *(str(port) for port in sorted(process.ports)))
        programs[key] = (made_of, technology)
        found.setdefault(key, []).append((process, pids))
    names = _names({key: (programs[key][0], _ports(members)) for key, members in found.items()})
    groups = [
        Group(
            name=names[key],
            program=programs[key][0],
            technology=programs[key][1],
            members=tuple(sorted((process for process, _ in members), key=_order)),
            pids=frozenset().union(*(pids for _, pids in members)),
        )
        for key, members in found.items()
    ]
    return sorted(groups, key=lambda made: made.name)


def service(found: Group, edges: Iterable[Dependency]) -> Service:
    """The group as the contract's service. Callers that speak HTTP to it make an unknown program an HTTP service."""
    kind = found.technology.kind
    if kind is ServiceKind.GENERIC and found.ports:
        spoken = {edge.protocol for edge in edges if edge.callee == found.name}
        kind = ServiceKind.HTTP if "http" in spoken else ServiceKind.GRPC if "grpc" in spoken else kind
    elif not found.ports:
        kind = ServiceKind.WORKER
    return Service(name=found.name, kind=kind, technology=found.technology.name, instances=tuple(_instances(found)))


def _instances(found: Group) -> Iterable[ContainerInstance | ProcessInstance]:
    commands = Counter(member.command for member in found.members if not member.ports)
    for number, member in enumerate(found.members, start=1):
        port = _main_port(member, found.technology)
        identity = legal(f"{found.name[:56]}-{port or number}")
        command = found.program.match if fits(found.program.match, member.argv) else ""
        if member.container:
            where = {"container": member.container.name, "engine": member.container.engine}
            yield ContainerInstance(id=identity, port=port, **where)
        elif port is not None or (command and commands[member.command] == 1):
            yield ProcessInstance(id=identity, command=command[:400], port=port)
        else:  # nothing else tells it from its like
            yield ProcessInstance(id=identity, command=command[:400], pid=member.pid, start_ticks=member.start_ticks)


def _main_port(process: Process, technology: Technology) -> int | None:
    usual = _USUAL_PORT.get(technology.name or "")
    return usual if usual in process.ports else min(process.ports, default=None)


def _names(programs: dict[tuple[str, ...], tuple[Program, tuple[int, ...]]]) -> dict[tuple[str, ...], str]:
    """A name for each program: its own, else a longer one, else with its first port."""
    wanted = {key: made_of.name for key, (made_of, _) in programs.items()}
    for again in (False, True):
        often = Counter(wanted.values())
        for key, (made_of, ports) in programs.items():
            if often[wanted[key]] > 1:
                longer = f"{wanted[key][:56]}-{ports[0]}" if again and ports else made_of.fallback
                wanted[key] = legal(longer)
    taken: set[str] = set()
    for key in sorted(wanted):
        name, number = wanted[key], 2
        while wanted[key] in taken:
            wanted[key], number = f"{name[:58]}-{number}", number + 1
        taken.add(wanted[key])
    return wanted


def _ports(members: list[tuple[Process, frozenset[int]]]) -> tuple[int, ...]:
    return tuple(sorted(port for process, _ in members for port in process.ports))


def _order(process: Process) -> tuple[int, int]:
    return (min(process.ports, default=0), process.pid)
