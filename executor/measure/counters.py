"""Calls that have arrived on edges, read where a fault proxy stands on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from executor.measure.containment import strikes
from executor.model.plan import Experiment
from executor.model.system import Dependency, System

CountCalls = Callable[[Dependency], int | None]
"""Calls arrived on an edge so far; ``None``: unknown."""

COUNTED = ("http", "grpc")
"""Protocols where one call is one request. On others a proxy sees connections, which pools keep for many calls."""
_PREFIX = "calls:"


def counter(caller: str, callee: str) -> str:
    """The source under which an edge's counter is recorded."""
    return f"{_PREFIX}{caller}->{callee}"


def edge_of(source: str) -> tuple[str, str] | None:
    """The edge, ``(caller, callee)``, whose counter is recorded under a source; ``None`` of any other source."""
    caller, arrow, callee = source.removeprefix(_PREFIX).partition("->")
    return (caller, callee) if source.startswith(_PREFIX) and arrow else None


def edges_of(experiment: Experiment, system: System) -> tuple[Dependency, ...]:
    """The edges whose calls an experiment's hypotheses speak of, and those that can be counted and feel its faults."""
    wanted = {edge for hypothesis in experiment.hypotheses for edge in hypothesis.exercised_by}
    wanted |= {(c.caller, c.callee) for c in experiment.criteria if c.kind == "calls_within"}
    return tuple(d for d in system.dependencies if (d.caller, d.callee) in wanted or _felt(d, experiment))


def _felt(edge: Dependency, experiment: Experiment) -> bool:
    counted = edge.protocol in COUNTED and edge.interception is not None and edge.interception.kind == "managed_proxy"
    return counted and any(strikes(action.target, edge.place) for action in experiment.actions)


def read_counters(edges: Sequence[Dependency], count: CountCalls | None) -> list[int | None]:
    """Read every edge's counter, one after another. Blocks: call it in a worker thread."""
    if count is None:
        from executor.proxy.edges import count_calls  # only a run that counts loads the proxy's client

        count = count_calls
    return [count(edge) if edge.protocol in COUNTED else None for edge in edges]
