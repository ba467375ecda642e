"""The end of a run: undo what is left, judge what was not judged yet, and put the evidence together."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from executor.errors import UnavailableError
from executor.measure.judge import Judgement, judge
from executor.model.evidence import EventKind, Evidence
from executor.model.plan import Experiment
from executor.run.course import Course
from executor.run.record import Meter, evidence_of
from executor.run.strike import check_of
from executor.state import undo_notes
from executor.state.journal import Injection

LATE_S = 30.0
"""How long the end of a run waits for threads that are still making a fault which was given up."""
_log = logging.getLogger(__name__)


def judged(course: Course, experiment: Experiment, aborted: str) -> Judgement:
    """What the experiment's trials say. A judge that fails says nothing, and costs no other experiment its evidence."""
    try:
        return judge(experiment, course.reached(experiment).trials, started=course.started, aborted=aborted)
    except Exception as error:  # noqa: BLE001 - a broken judge must not lose what was seen
        _log.exception("judging %s failed", experiment.id)
        return judge(experiment, (), started=course.started, aborted=f"judging failed: {error}")


def sweep(course: Course) -> list[str]:
    """Undo what is left, outside of any event loop, where nothing can cancel it; returns what is owed, in words."""
    deadline = time.monotonic() + LATE_S
    while course.making and time.monotonic() < deadline:
        time.sleep(0.05)
    left: Sequence[Injection]
    try:
        left = course.journal.pending(course.run)
    except UnavailableError:
        left = undo_notes.left(course.home, course.run)
    results = course.undoing.undo(left)
    for result in results:
        if result.injection.id in course.told:
            continue  # only the journal did not know it yet
        check, injection = check_of(result), result.injection
        course.emit(
            EventKind.REVERTED if result.reverted else EventKind.REVERT_OWED,
            experiment=injection.experiment,
            trial=injection.trial,
            action=injection.action,
            detail=check.detail,
            ago_s=result.ago_s,
        )
        course.ran[injection.experiment].reverts.append(check)
    late = [f"{each}: it is still being made; it is undone when that ends" for each in list(course.making.values())]
    return [result.error for result in results if not result.reverted] + late


def conclude(course: Course, owed: list[str], meter: Meter) -> Evidence:
    """Judge what has not been judged, and put everything together."""
    reason = course.ending.reason if course.ending else ""
    for experiment in course.plan.experiments:
        ran = course.reached(experiment)
        if ran.judgement is None:
            cut_short = len(ran.bounds) < experiment.trials
            ran.judgement = judged(course, experiment, (reason or "it was cut short") if cut_short else "")
            for event in ran.judgement.events:
                course.tell(event)
    with suppress(OSError):  # the evidence says how many there are; a full disk must not cost us that too
        course.log.close()
    course.emit(EventKind.RUN_FINISHED, detail=course.ending.outcome if course.ending else "completed")
    return evidence_of(course, owed, meter)
