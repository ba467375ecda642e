"""The vocabulary in which playbooks speak of places: one word a condition, and all that are given must be true."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field

from executor.model.base import Contract, Line, Milliseconds, Probability
from executor.model.system import Dependency, Ec2Instance, Service
from executor.model.vocabulary import ServiceKind
from experts.view import Bond, View

Known = Literal["present", "absent", "unknown"]
Count = Annotated[int, Field(ge=0)]


class ServiceIs(Contract):
    """Conditions over one service; lists mean any of them."""

    kind: tuple[ServiceKind, ...] | None = None
    not_kind: tuple[ServiceKind, ...] | None = None
    technology: tuple[Line, ...] | None = None
    """Globs."""
    instances_min: Count | None = None
    instances_max: Count | None = None
    criticality_min: Count | None = None
    criticality_max: Count | None = None
    restarts: tuple[Literal["supervised", "by_hand", "unknown"], ...] | None = None
    has_signals: bool | None = None
    has_operations: bool | None = None
    has_data_checks: bool | None = None
    has_dsn: bool | None = None
    has_admin_dsn: bool | None = None
    tables_min: Count | None = None
    has_queues: bool | None = None
    has_directories: bool | None = None
    has_control: bool | None = None
    """Whether it is a balancer that can be told what to do."""
    driver: tuple[Line, ...] | None = None
    """Drivers, of which each of its instances has one; a service without instances has none."""
    has_fis_role: bool | None = None
    """Whether AWS Fault Injection Service may be used on each of its instances."""
    zones_min: Count | None = None
    """Zones in which it has instances."""
    disposable: bool | None = None
    protected: bool | None = None
    calls: bool | None = None
    """Whether it has dependencies of its own."""
    called: bool | None = None
    critical: bool | None = None
    """Whether a critical operation passes through it."""
    called_on: bool | None = None
    """Whether some operation passes through it."""
    needed: bool | None = None
    """Whether a critical operation cannot work without it, by design or as far as is said."""
    soft_callees_min: Count | None = None
    """Dependencies that some operation uses and should be able to do without."""
    calls_kind: tuple[ServiceKind, ...] | None = None
    """Whether it calls a service of one of these kinds."""


class EdgeIs(Contract):
    """Conditions over one edge; lists mean any of them."""

    protocol: tuple[Line, ...] | None = None
    timeout: tuple[Known, ...] | None = None
    timeout_ms_min: Milliseconds | None = None
    timeout_ms_max: Milliseconds | None = None
    retries: tuple[Known, ...] | None = None
    retries_min: Count | None = None
    breaker: tuple[Known, ...] | None = None
    fallback: tuple[Known, ...] | None = None
    interceptable: bool | None = None
    named: bool | None = None
    """Whether the callee is called by a name that has to be looked up, not by an address."""
    bond: tuple[Bond, ...] | None = None
    exercised: bool | None = None
    """Whether an operation uses it, as far as was seen."""
    critical: bool | None = None
    """Whether a critical operation uses it."""
    others: bool | None = None
    """Whether operations that pass through the caller do not use it."""
    telling_table: bool | None = None
    """Whether a lock on one table would spare other users of the edge."""
    outlasts_caller: bool | None = None
    """Whether the callee waits for a dependency of its own longer than the caller waits for the callee."""


def _known(value: object) -> Known:
    if value is None:
        return "unknown"
    return "present" if value else "absent"


def _outlasts(view: View, edge: Dependency) -> bool:
    beyond = [e.timeout_ms for e in view.edges_out(edge.callee)]
    mine = edge.timeout_ms
    return mine is not None and any(ms is not None and ms >= mine for ms in beyond)


def zones(service: Service) -> tuple[str, ...]:
    """Zones in which it has instances, each once, in their order."""
    return tuple(dict.fromkeys(instance.zone for instance in service.instances if instance.zone is not None))


def _fis_everywhere(service: Service) -> bool:
    return bool(service.instances) and all(isinstance(i, Ec2Instance) and i.fis_role for i in service.instances)


def _has_name(edge: Dependency) -> bool:
    try:
        ipaddress.ip_address(edge.host)
    except ValueError:
        return edge.host != "localhost"
    return False


_SERVICE: dict[str, Callable[[View, Service, Any], bool]] = {
    "kind": lambda _, s, want: s.kind in want,
    "not_kind": lambda _, s, want: s.kind not in want,
    "technology": lambda _, s, want: any(fnmatchcase(s.technology or "", glob) for glob in want),
    "instances_min": lambda _, s, want: len(s.instances) >= want,
    "instances_max": lambda _, s, want: len(s.instances) <= want,
    "criticality_min": lambda _, s, want: s.criticality >= want,
    "criticality_max": lambda _, s, want: s.criticality <= want,
    "restarts": lambda _, s, want: s.restarts in want,
    "has_signals": lambda v, s, want: v.has_signal(s.name) == want,
    "has_operations": lambda _, s, want: bool(s.operations) == want,
    "has_data_checks": lambda _, s, want: bool(s.data_checks) == want,
    "has_dsn": lambda _, s, want: (s.dsn is not None) == want,
    "has_admin_dsn": lambda _, s, want: (s.admin_dsn is not None) == want,
    "tables_min": lambda _, s, want: len(s.tables) >= want,
    "has_queues": lambda _, s, want: bool(s.queues) == want,
    "has_directories": lambda _, s, want: bool(s.directories) == want,
    "has_control": lambda _, s, want: (s.control is not None) == want,
    "driver": lambda _, s, want: bool(s.instances) and all(i.driver in want for i in s.instances),
    "has_fis_role": lambda _, s, want: _fis_everywhere(s) == want,
    "zones_min": lambda _, s, want: len(zones(s)) >= want,
    "disposable": lambda _, s, want: s.disposable == want,
    "protected": lambda _, s, want: s.protected == want,
    "calls": lambda v, s, want: bool(v.edges_out(s.name)) == want,
    "called": lambda v, s, want: bool(v.edges_in(s.name)) == want,
    "critical": lambda v, s, want: v.critical(s.name) == want,
    "called_on": lambda v, s, want: bool(v.touching(s.name)) == want,
    "needed": lambda v, s, want: v.needed(s.name) == want,
    "soft_callees_min": lambda v, s, want: sum(v.bond(e) == "soft" for e in v.edges_out(s.name)) >= want,
    "calls_kind": lambda v, s, want: any(v.one(e.callee).kind in want for e in v.edges_out(s.name)),
}

_EDGE: dict[str, Callable[[View, Dependency, Any], bool]] = {
    "protocol": lambda _, e, want: e.protocol in want,
    "timeout": lambda _, e, want: _known(e.timeout_ms) in want,
    "timeout_ms_min": lambda _, e, want: e.timeout_ms is not None and e.timeout_ms >= want,
    "timeout_ms_max": lambda _, e, want: e.timeout_ms is not None and e.timeout_ms <= want,
    "retries": lambda _, e, want: _known(e.retries) in want,
    "retries_min": lambda _, e, want: e.retries is not None and e.retries >= want,
    "breaker": lambda _, e, want: _known(e.breaker) in want,
    "fallback": lambda _, e, want: _known(e.fallback) in want,
    "interceptable": lambda _, e, want: (e.interception is not None) == want,
    "named": lambda _, e, want: _has_name(e) == want,
    "bond": lambda v, e, want: v.bond(e) in want,
    "exercised": lambda v, e, want: bool(v.exercisers(e)) == want,
    "critical": lambda v, e, want: any(check.critical for check in v.exercisers(e)) == want,
    "others": lambda v, e, want: bool(v.others(e)) == want,
    "telling_table": lambda v, e, want: bool(v.telling_tables(e)) == want,
    "outlasts_caller": lambda v, e, want: _outlasts(v, e) == want,
}


def service_is(want: ServiceIs, service: Service, view: View) -> bool:
    """Whether every condition given is true of the service."""
    return all(
        _SERVICE[word](view, service, value)
        for word in want.model_fields_set
        if (value := getattr(want, word)) is not None
    )


def edge_is(want: EdgeIs, edge: Dependency, view: View) -> bool:
    """Whether every condition given is true of the edge."""
    return all(
        _EDGE[word](view, edge, value) for word in want.model_fields_set if (value := getattr(want, word)) is not None
    )


class When(Contract):
    """All that must be true of a place, and of what is known about it, for an entry to speak of it."""

    service: ServiceIs = ServiceIs()
    """At a service only."""
    edge: EdgeIs = EdgeIs()
    """At an edge only, as are ``caller`` and ``callee``."""
    caller: ServiceIs = ServiceIs()
    callee: ServiceIs = ServiceIs()
    believed_min: Probability | None = None
    """P(present) as believed; a place nothing is believed of does not match."""
    believed_max: Probability | None = None
    held_under: tuple[Line, ...] | None = None
    """Globs over fault kinds: the same weakness held at this very place under one of them."""
    broke_under: tuple[Line, ...] | None = None
    """Globs over fault kinds: it broke at this very place under one of them."""
    broke_nearby: bool | None = None
    """Whether it broke at another place that shares a service with this one, or in a similar system."""

    @property
    def about_edges(self) -> bool:
        """Whether it says something that only an edge can be."""
        return self.edge != EdgeIs() or self.caller != ServiceIs() or self.callee != ServiceIs()
