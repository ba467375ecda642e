"""Beside the stages of a run: it ends the run when too little of the error budget is left, or nobody can tell."""

from __future__ import annotations

import anyio

from executor.course import Course
from executor.safety.budget import EVERY_S, BudgetGuard


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
