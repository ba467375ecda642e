"""Calls that have arrived on edges, read where a fault proxy stands on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from executor.model.plan import Experiment
from executor.model.system import Dependency, System

CountCalls = Callable[[Dependency], int | None]
"""Calls arrived on an edge so far; ``None``: unknown."""

COUNTED = ("http", "grpc")
"""Protocols where one call is one request. On others a proxy sees connections, which pools keep for many calls."""


def counter(caller: str, callee: str) -> str:
    """The source under which an edge's counter is recorded."""
    return f"calls:{caller}->{callee}"


def edges_of(experiment: Experiment, system: System) -> tuple[Dependency, ...]:
    """The edges whose calls an experiment's hypotheses speak of, each once, as far as the system knows them."""
    wanted: dict[tuple[str, str], None] = {}
    for hypothesis in experiment.hypotheses:
        wanted.update(dict.fromkeys(hypothesis.exercised_by))
        for criterion in hypothesis.criteria:
            if criterion.kind == "calls_within":
                wanted[criterion.caller, criterion.callee] = None
    return tuple(d for d in system.dependencies if (d.caller, d.callee) in wanted)


def read_counters(edges: Sequence[Dependency], count: CountCalls | None) -> list[int | None]:
    """Read every edge's counter, one after another. Blocks: call it in a worker thread."""
    if count is None:
        from executor.proxy.edges import count_calls  # only a run that counts loads the proxy's client

        count = count_calls
    return [count(edge) if edge.protocol in COUNTED else None for edge in edges]
