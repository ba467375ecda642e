"""Beside the stages of a run: it ends the run when its time is up or it costs too much."""

from __future__ import annotations

import anyio

from executor.errors import SafetyRefusalError
from executor.run.course import Course
from executor.safety.budget import EVERY_S, BudgetGuard
from executor.safety.guard import Violation
from executor.safety.windows import refuse_outside_windows

_BEGUN_S = 5.0
"""Before a run is so old its guard's share of the processor says nothing."""


async def mind_cost(course: Course) -> None:
    """End the run when guarding it takes too much of the host it is to protect. Runs until cancelled."""
    most = course.limits.guard.cost_percent_max
    while True:
        await anyio.sleep(1)
        used = 100 * course.guard_cpu_s / course.now_s()
        if used > most and course.now_s() > _BEGUN_S:
            course.end("aborted", str(Violation("guard cost", f"{used:.0f} % of a processor", f"{most:g} %")))


async def mind_window(course: Course) -> None:
    """End the run when its change window closes before it has ended. Runs until cancelled."""
    while True:
        try:
            refuse_outside_windows(course.limits.change_windows, course.plan.environment, course.clock.now(), 0)
        except SafetyRefusalError as refusal:
            course.end("aborted", str(Violation(refusal.rule, refusal.measured, refusal.limit)))
        await anyio.sleep(1)


async def mind_budget(course: Course) -> None:
    """Read the budget now and then until cancelled; returns at once where the limits name none."""
    if not course.limits.error_budget.source:
        return
    guard = BudgetGuard(course.limits.error_budget, course.limits.guard.check_silent_s)
    while True:
        violation = await guard.look()
        if violation is not None:
            course.end("aborted", str(violation))
        await anyio.sleep(EVERY_S)
