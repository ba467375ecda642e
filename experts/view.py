"""The topology as experts ask about it: who exercises an edge, who needs whom, what stands beside and behind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from executor.model.probe import Check
from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import ServiceKind

Bond = Literal["soft", "hard", "unknown", "unused"]


class View:
    """Questions over one system, answered from its declarations and from what was seen at discovery."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._services = {service.name: service for service in system.services}
        self._edges = {edge.place: edge for edge in system.dependencies}
        self._out: dict[str, list[Dependency]] = {name: [] for name in self._services}
        self._in: dict[str, list[Dependency]] = {name: [] for name in self._services}
        for edge in system.dependencies:
            self._out[edge.caller].append(edge)
            self._in[edge.callee].append(edge)
        self._users: dict[str, list[Check]] = {place: [] for place in self._edges}
        self._guests: dict[str, list[Check]] = {name: [] for name in self._services}
        for check in self.operations:
            self._place(check)
        self._signalled = {
            signal.service for service in system.services for signal in service.signals if not signal.instance
        }

    def service(self, name: str) -> Service | None:
        """The service of that name, or ``None``."""
        return self._services.get(name)

    def one(self, name: str) -> Service:
        """The service of that name. Raises ``KeyError`` if the system has none."""
        return self._services[name]

    def edge(self, place: str) -> Dependency | None:
        """The edge of that place name, or ``None``."""
        return self._edges.get(place)

    @cached_property
    def operations(self) -> tuple[Check, ...]:
        """Every operation of every service, in the system's order."""
        return tuple(check for service in self.system.services for check in service.operations)

    def edges_out(self, name: str) -> Sequence[Dependency]:
        """Calls that the service makes."""
        return self._out[name]

    def edges_in(self, name: str) -> Sequence[Dependency]:
        """Calls that the service receives."""
        return self._in[name]

    def exercisers(self, edge: Dependency) -> Sequence[Check]:
        """Operations seen to send calls over the edge; one that was not looked at counts where it could."""
        return self._users[edge.place]

    def touching(self, name: str) -> Sequence[Check]:
        """Operations that pass through the service, its own among them."""
        return self._guests[name]

    def others(self, edge: Dependency) -> tuple[Check, ...]:
        """Operations that pass through the edge's caller without using the edge."""
        users = self.exercisers(edge)
        return tuple(check for check in self.touching(edge.caller) if check not in users)

    def needs(self, check: Check, name: str) -> bool | None:
        """Whether the operation needs the service by design; ``None``: its owner did not say.

        Whatever needs a service needs the load balancer before it, named or not.
        """
        if check.needs is None:
            return None
        service = self._services[name]
        behind = self.edges_out(name) if service.kind is ServiceKind.LOAD_BALANCER else ()
        return name in check.needs or any(edge.callee in check.needs for edge in behind)

    def bond(self, edge: Dependency) -> Bond:
        """``soft``: some operation uses the edge without needing the callee; ``hard``: all that use it need it."""
        users = self.exercisers(edge)
        said = [needed for check in users if (needed := self.needs(check, edge.callee)) is not None]
        if not users:
            return "unused"
        if not said:
            return "unknown"
        return "hard" if all(said) else "soft"

    def critical(self, name: str) -> bool:
        """Whether a critical operation passes through the service."""
        return any(check.critical for check in self.touching(name))

    def needed(self, name: str) -> bool:
        """Whether a critical operation that passes through the service needs it, or does not say."""
        return any(check.critical and self.needs(check, name) is not False for check in self.touching(name))

    def has_signal(self, name: str) -> bool:
        """Whether the system itself reports on the service."""
        return name in self._signalled

    def telling_tables(self, edge: Dependency) -> tuple[str, ...]:
        """Tables whose lock should spare something: some of the caller's operations on the edge use it, others do not.

        Only operations that the caller itself offers are asked, since those of others may reach the table another way.
        The one with most traffic first.
        """
        users = [check for check in self.exercisers(edge) if check.service == edge.caller and check.tables]
        load: dict[str, float] = {}
        for check in users:
            for table in check.tables:
                load[table] = load.get(table, 0) + check.rate_hz
        telling = [table for table in load if any(table not in check.tables for check in users)]
        return tuple(sorted(telling, key=lambda table: (-load[table], table)))

    def _place(self, check: Check) -> None:
        exercised = check.exercises if check.exercises is not None else self._within_reach(check.service)
        guests = {check.service: None}
        for place in dict.fromkeys(exercised):
            edge = self._edges.get(place)
            if edge is not None:
                self._users[place].append(check)
                guests |= {edge.caller: None, edge.callee: None}
        for name in guests:
            if name in self._guests:
                self._guests[name].append(check)

    def _within_reach(self, start: str) -> list[str]:
        reached: list[str] = []
        ahead, seen = [start], {start}
        while ahead:
            for edge in self._out.get(ahead.pop(), ()):
                reached.append(edge.place)
                if edge.callee not in seen:
                    seen.add(edge.callee)
                    ahead.append(edge.callee)
        return reached
