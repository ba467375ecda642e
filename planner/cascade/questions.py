"""What is asked of a system while one of its services fails: one hypothesis a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor.model.criteria import BoundedLatency, SteadyState
from executor.model.faults import Fault
from executor.model.plan import InstanceTarget, Target
from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import FaultType, Weakness
from executor.model.wording import percent
from knowledge.topology.single_points import entry_operations
from planner.cascade.predict import PARTLY, UNKNOWN, chance
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.dependencies import hard_dependency
from planner.recipes.manner import GONE, delay_ms
from planner.recipes.paths import (
    Edge,
    best,
    checks_of,
    exercises,
    feels,
    names,
    struck_edges,
    struck_whole,
    upstream,
    witnesses,
)
from planner.recipes.redundancy import EJECT_S
from planner.recipes.waiting import FILL_S, missing_timeout

FAULT_S = 6.0
JUDGED_MAX = 10
"""So many operations of users are judged at most."""
SHARE_MIN = 0.8
"""Of the share of requests that goes to those that are left, so much is to be served: chance spreads them unevenly."""
LIMIT_MS_MIN = 1000.0
"""A shorter one cannot be told from an ordinary time-out with a retry."""
SLOW_MS = 1000.0
"""Where no latency is promised, nobody is to wait longer for what has nothing to do with the fault."""


@dataclass(frozen=True)
class Blow:
    """One way of striking a service."""

    title: str
    """How the service is then: ``which is gone``."""
    fault: Fault
    target: Target


@dataclass(frozen=True)
class Question:
    """A weakness at a place, and how it is judged."""

    weakness: Weakness
    place: str
    judging: Judging
    probability: float
    """P(present), 0–1."""
    remedy: str


def questions(blow: Blow, service: str, system: System) -> Iterator[Question]:
    """What users lose, whether those who call it cope, and whether what has nothing to do with it is spared."""
    felt = best((c for c in entry_operations(system) if feels(c, blow.target, system)), service, most=JUDGED_MAX)
    whole = struck_whole(blow.target, system)
    gone = isinstance(blow.target, InstanceTarget) and blow.fault.looks() in GONE | {FaultType.SILENT}
    if felt and not whole:
        yield _redistribution(felt, service, blow, system)
    elif felt and gone and len(system.service(service).instances) == 1:
        yield _single_point(felt, service, blow, system)
    for edge in struck_edges(blow.target, system):
        if whole:
            yield from _at_edge(edge, felt, blow, system)
    yield from _bulkheads(blow, service, system)


def _single_point(felt: Sequence[Check], service: str, blow: Blow, system: System) -> Question:
    return Question(
        Weakness.SINGLE_POINT_OF_FAILURE,
        service,
        Judging(
            statement=f"{', '.join(names(felt))} survive the loss of {service}",
            criteria=tuple(SteadyState(checks=(check.id,)) for check in felt),
        ),
        max(chance(check, blow.target, system)[0] for check in felt),
        f"Run a second instance of {service} behind a load balancer, or let its callers do without it.",
    )


def _redistribution(felt: Sequence[Check], service: str, blow: Blow, system: System) -> Question:
    """Those that are left serve at least their own share of all requests, in time.

    A balancer may go on sending the others to what is gone, which is a weakness of its own and no lack of capacity.
    """
    assert isinstance(blow.target, InstanceTarget)
    instances = len(system.service(service).instances)
    share = 1 - (len(set(blow.target.ids)) or blow.target.count) / instances
    return Question(
        Weakness.CAPACITY_CLIFF,
        service,
        Judging(
            statement=f"the instances of {service} that are left serve their share, {percent(share)} of all, of "
            f"{', '.join(names(felt))}, and in time",
            criteria=tuple(
                SteadyState(
                    checks=(check.id,),
                    after_s=EJECT_S,
                    availability_min=round(SHARE_MIN * share, 3),
                    latency_ms_max=_patience_ms(check),
                )
                for check in felt
            ),
            fault_s=EJECT_S + FAULT_S,
        ),
        PARTLY,
        f"Give {service} instances to spare at full load, or let it shed what is too much.",
    )


def _at_edge(edge: Edge, felt: Sequence[Check], blow: Blow, system: System) -> Iterator[Question]:
    """What the recipes ask of those who call it themselves, and whether users may do without all of its instances."""
    caller, callee = edge
    place = f"{caller}->{callee}"
    late = missing_timeout(Case(system, Weakness.MISSING_TIMEOUT, place, blow.fault, blow.target))
    if isinstance(late, Unfit):
        late = _in_time(edge, felt, blow, system)
    if isinstance(late, Judging):
        remedy = "Give the call a time-out well below what users wait."
        yield Question(Weakness.MISSING_TIMEOUT, place, late, UNKNOWN / 2, remedy)
    without = hard_dependency(Case(system, Weakness.HARD_DEPENDENCY, place, blow.fault, blow.target))
    if isinstance(without, Unfit) and len(system.service(callee).instances) > 1:
        without = _perhaps_without(edge, felt, blow, system)
    if isinstance(without, Judging):
        remedy = "Answer without it: from a cache, a default, or in part."
        yield Question(Weakness.HARD_DEPENDENCY, place, without, UNKNOWN / 2, remedy)


def _in_time(edge: Edge, felt: Sequence[Check], blow: Blow, system: System) -> Judging | Unfit:
    """For checks that are themselves less patient than the recipe asks for: an answer before they give up."""
    chosen = [check for check in witnesses(edge, blow.target, system) if check in felt]
    limit_ms = 0.8 * min([delay_ms(blow.fault), *(check.probe.timeout_ms for check in chosen)])
    if not chosen or limit_ms < LIMIT_MS_MIN:
        return Unfit(f"no operation that uses {edge[0]}->{edge[1]} is asked patiently enough to see it wait")
    return Judging(
        statement=f"{edge[0]} gives up on {edge[1]} in time: answers come within {limit_ms / 1000:g} s, well or not",
        criteria=(BoundedLatency(checks=names(chosen), limit_ms=limit_ms),),
        exercised_by=(edge,),
    )


def _perhaps_without(edge: Edge, felt: Sequence[Check], blow: Blow, system: System) -> Judging | Unfit:
    """Losing all of what has several instances is no single point of failure; what may do without should."""
    caller, callee = edge
    chosen = [c for c in witnesses(edge, blow.target, system) if c in felt and c.needs is None]
    if not chosen or blow.fault.looks() not in GONE | {FaultType.SILENT}:
        return Unfit(f"nothing that uses {caller}->{callee} may do without {callee}")
    return Judging(
        statement=f"{', '.join(names(chosen))} survive the loss of all instances of {callee}",
        criteria=tuple(SteadyState(checks=(check.id,)) for check in chosen),
        exercised_by=(edge,),
    )


def _bulkheads(blow: Blow, service: str, system: System) -> Iterator[Question]:
    """Endpoints of those who call it, directly or not, that have nothing to do with it keep their promise."""
    above = upstream(system, service)
    pressing = [check for check in checks_of(system) if feels(check, blow.target, system)]
    for edge in system.dependencies:
        if edge.callee not in above or edge.caller == service:
            continue
        apart = [
            check
            for check in system.service(edge.caller).operations
            if check.exercises is not None and edge.place not in check.exercises and check not in pressing
        ]
        if not apart or not any(exercises(check, (edge.caller, edge.callee), system) for check in pressing):
            continue
        chosen = apart[:3]
        yield Question(
            Weakness.MISSING_BULKHEAD,
            edge.place,
            Judging(
                statement=f"{edge.caller} serves {', '.join(names(chosen))} as ever while {service} fails",
                criteria=tuple(
                    SteadyState(checks=(check.id,), after_s=FILL_S, latency_ms_max=_patience_ms(check))
                    for check in chosen
                ),
                fault_s=FILL_S + FAULT_S,
            ),
            PARTLY,
            f"Keep apart the threads and connections that {edge.caller} uses for {edge.callee}.",
        )


def _patience_ms(check: Check) -> float:
    """Twice what users were promised, and never below a second: a busy host alone must not look like starvation."""
    return max(SLOW_MS, 2 * (check.slo.latency_ms_max or 0.0))
