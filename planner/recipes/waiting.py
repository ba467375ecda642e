"""What happens to those who wait: time-outs missing or upside down, and no walls between what waits and what not."""

from __future__ import annotations

from executor.model.criteria import BoundedLatency, SteadyState
from executor.model.probe import Check
from executor.model.system import Dependency
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.manner import WAITING, delay_ms
from planner.recipes.paths import best, checks_of, exercises, names, struck_edges

PATIENCE_MS = 2000.0
"""Longer than this nobody should be kept waiting, and a caller with a time-out and one more try does not."""
SHARE = 0.8
"""Of the delay: who has not answered by then has waited for all of it, with some room for how busy a host is."""
DELAY_MS_MIN = PATIENCE_MS / SHARE
"""A shorter delay cannot be told from an ordinary time-out, with a retry, that is within what anybody should wait: who
answers after 1.3 s under a delay of 1.5 s may have waited for the answer, or given up as it should."""
APART = 1.15
"""Where a caller's time-out is known, a shorter delay tells all the same, if it is so many times all that it waits."""
ANSWERS_MIN = 8
"""The judge wants at least so many answers."""
FILL_S = 1.5
"""Time for what is slow to use up the threads or connections of its caller."""
LATE_S_MAX = 5.0
"""An answer that is later than this has not come when the fault ends, and then counts as not served."""


def missing_timeout(case: Case) -> Judging | Unfit:
    """Whoever calls gives up in bounded time although the callee does not answer, or answers much later."""
    if case.type not in WAITING:
        return Unfit("it takes a fault that makes calls wait")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    limit_ms = _limit_ms(delay_ms(case.fault), case.system.dependency(*case.edge))
    if limit_ms is None:
        return Unfit(f"a delay below {DELAY_MS_MIN:g} ms cannot be told from an ordinary time-out")
    caller, callee = case.edge
    patient = [check for check in case.witnesses() if check.probe.timeout_ms > limit_ms]
    chosen = best(patient, caller)
    if not chosen:
        return Unfit(f"no operation exercises {caller}->{callee} and is asked patiently enough to see {limit_ms:g} ms")
    return Judging(
        statement=f"{caller} gives up on {callee} in time: answers come within {limit_ms / 1000:g} s, well or not",
        criteria=(BoundedLatency(checks=names(chosen), limit_ms=limit_ms),),
        exercised_by=(case.edge,),
        fault_s=max(5.0, limit_ms / 1000 + _seconds(ANSWERS_MIN + 4, chosen)),
    )


def _limit_ms(late_ms: float, edge: Dependency) -> float | None:
    """By when whoever gives up has answered, milliseconds; ``None``: at this delay nobody could tell.

    A time-out that is said to be set may be found not to strike also by a delay that a user would still bear: half-way
    between all that the caller waits by its own word and the delay.
    """
    if late_ms >= DELAY_MS_MIN:
        return PATIENCE_MS
    if edge.timeout_ms is None or edge.retries is None:
        return None
    waits_ms = edge.timeout_ms * (1 + edge.retries)
    return (waits_ms + late_ms) / 2 if late_ms >= APART * waits_ms else None


def missing_bulkhead(case: Case) -> Judging | Unfit:
    """Operations of the caller that do not use the callee keep working while those that do are waiting."""
    if case.type not in WAITING:
        return Unfit("it takes a fault that makes calls wait")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    caller, callee = case.edge
    struck = struck_edges(case.target, case.system)
    apart = [
        check
        for check in case.system.service(caller).operations
        if check.exercises is not None and not any(exercises(check, edge, case.system) for edge in struck)
    ]
    pressing = best((c for c in case.witnesses() if c not in apart), caller)
    if not apart or not pressing:
        return Unfit(f"{caller} has no two operations of which one uses {callee} and one is seen not to")
    chosen = best(apart, caller)
    # what is starved may be answered as late as the callee, and only what is answered during the fault counts
    late_s = delay_ms(case.fault) / 1000 if delay_ms(case.fault) <= LATE_S_MAX * 1000 else 0.0
    return Judging(
        statement=f"{caller} serves {', '.join(names(chosen))} as ever while its calls to {callee} wait",
        criteria=tuple(
            SteadyState(checks=(check.id,), after_s=FILL_S, latency_ms_max=_promised_ms(check)) for check in chosen
        ),
        drivers=names(pressing),
        exercised_by=(case.edge,),
        fault_s=FILL_S + max(3.5, _seconds(ANSWERS_MIN + 12, chosen), late_s + _seconds(ANSWERS_MIN, chosen)),
    )


def timeout_inversion(case: Case) -> Judging | Unfit:
    """Who calls the callee waits as long as the callee itself, which bears that what it calls is slow.

    Judged only where the callee's own users are served: what it does not bear is a weakness of its own.
    """
    if case.type not in WAITING:
        return Unfit("it takes a fault that makes calls wait")
    if case.edge is None:
        return Unfit("it is judged at an edge, caller->callee")
    caller, callee = case.edge
    beyond = [edge for edge in struck_edges(case.target, case.system) if edge[0] == callee]
    if not beyond:
        return Unfit(f"it takes a fault on what {callee} calls in its turn")
    if not case.whole:
        return Unfit("another instance of it would still answer")
    crossing = [
        check
        for check in checks_of(case.system)
        if all(exercises(check, edge, case.system) for edge in (case.edge, beyond[0]))
    ]
    chosen = best((c for c in crossing if c.service != callee), caller)
    own = best(
        (c for c in case.system.service(callee).operations if exercises(c, beyond[0], case.system)), callee, most=1
    )
    if not chosen or not own:
        return Unfit(
            f"no operation of {callee} itself that waits for {beyond[0][1]}, or none that reaches it by {caller}"
        )
    return Judging(
        statement=f"{caller} waits for {callee}'s answer as long as {callee} waits for {beyond[0][1]}",
        criteria=(SteadyState(checks=names(chosen), after_s=FILL_S, provided=names(own)),),
        exercised_by=(case.edge, beyond[0]),
        fault_s=FILL_S + max(5.0, _seconds(ANSWERS_MIN + 12, (*chosen, *own))),
    )


def _promised_ms(check: Check) -> float | None:
    """Twice what users were promised, and never below a second: a busy host alone must not look like starvation."""
    return None if check.slo.latency_ms_max is None else max(1000.0, 2 * check.slo.latency_ms_max)


def _seconds(answers: int, checks: tuple[Check, ...]) -> float:
    return round(answers / min(check.rate_hz for check in checks), 1)
