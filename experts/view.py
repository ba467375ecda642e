"""The topology as experts ask about it: who exercises an edge, who needs whom, what stands beside and behind."""

from __future__ import annotations

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
        self._exercised = {check.id: self._exercises(check) for check in self.operations}

    def service(self, name: str) -> Service | None:
        """The service of that name, or ``None``."""
        return self._services.get(name)

    def edge(self, place: str) -> Dependency | None:
        """The edge of that place name, or ``None``."""
        return self._edges.get(place)

    @cached_property
    def operations(self) -> tuple[Check, ...]:
        """Every operation of every service, in the system's order."""
        return tuple(check for service in self.system.services for check in service.operations)

    def edges_out(self, name: str) -> tuple[Dependency, ...]:
        """Calls that the service makes."""
        return tuple(edge for edge in self.system.dependencies if edge.caller == name)

    def edges_in(self, name: str) -> tuple[Dependency, ...]:
        """Calls that the service receives."""
        return tuple(edge for edge in self.system.dependencies if edge.callee == name)

    def exercisers(self, edge: Dependency) -> tuple[Check, ...]:
        """Operations seen to send calls over the edge; one that was not looked at counts where it could."""
        return tuple(check for check in self.operations if edge.place in self._exercised[check.id])

    def touching(self, name: str) -> tuple[Check, ...]:
        """Operations that pass through the service, its own among them."""
        around = {edge.place for edge in (*self.edges_in(name), *self.edges_out(name))}
        return tuple(c for c in self.operations if c.service == name or around & self._exercised[c.id])

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
        return any(signal.service == name for service in self.system.services for signal in service.signals)

    def telling_tables(self, edge: Dependency) -> tuple[str, ...]:
        """Tables whose lock should spare something: some users of the edge touch them, others touch only other tables.

        The one with most traffic first.
        """
        users = self.exercisers(edge)
        load: dict[str, float] = {}
        for check in users:
            for table in check.tables:
                load[table] = load.get(table, 0) + check.rate_hz
        telling = [table for table in load if any(check.tables and table not in check.tables for check in users)]
        return tuple(sorted(telling, key=lambda table: (-load[table], table)))

    def _exercises(self, check: Check) -> frozenset[str]:
        if check.exercises is not None:
            return frozenset(check.exercises)
        reached: set[str] = set()
        ahead = [check.service]
        seen = {check.service}
        while ahead:
            for edge in self.edges_out(ahead.pop()):
                reached.add(edge.place)
                if edge.callee not in seen:
                    seen.add(edge.callee)
                    ahead.append(edge.callee)
        return frozenset(reached)
