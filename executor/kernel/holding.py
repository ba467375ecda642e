"""Whether a run that goes on holds what was found: the one place that decides it for all that a sweep looks at.

Standard library only: the watchdog and the helpers use it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

from executor.clock import start_ticks, whereabouts
from executor.kernel import process

Hold = Literal["held", "unwatched", "nobody"]
"""``held``: a run that goes on sees to it that it is undone. ``nobody``: it is to be undone now. ``unwatched``: its
executor lives and nobody would undo it in time, but whether that still renews a lease cannot be told."""
WATCHDOG: Final = "executor.undo.watchdog"
"""The module that a watchdog runs, with ``--pid`` and ``--ticks`` of its executor among its arguments."""
_STILL: Final = ("T", "t")


def hold(pid: int, ticks: int, left_s: float | None = None, *, place: str = "") -> Hold:
    """Who holds what that very process, an executor, has made; ``left_s``: seconds of its lease, where they are known.

    ``place`` is where that is its pid, as ``clock.here`` says there. Where nothing says so it is looked for in the pid
    namespaces below ours too; those beside ours cannot be looked into.

    One that is gone or stands still holds nothing: it renews no lease, and if it goes on later, it finds undone what it
    would have undone. Where no lease can be seen, a watchdog that is not stopped has to be there, which ends it.
    """
    if place and (where := whereabouts(place)) != "here":
        return "nobody" if where == "gone" else "unwatched"
    if (seen := process.state(pid, ticks)) is None and not place:
        seen = _state_below(pid, ticks)
    if seen in (None, *_STILL):
        return "nobody"
    if left_s is not None:
        return "held" if left_s > 0 else "nobody"
    return "held" if watched(pid, ticks) else "unwatched"


def _state_below(pid: int, ticks: int) -> str | None:
    called = (other for other in process.pids() if other != pid and process.is_called(other, pid))
    return next(filter(None, (process.state(other, ticks) for other in called)), None)


def watched(pid: int, ticks: int) -> bool:
    """Whether a watchdog that does not stand still watches that very executor, of whatever home."""
    return any(process.state(*found) not in (None, *_STILL) for found in _watchdogs(pid, ticks))


def _watchdogs(pid: int, ticks: int) -> list[tuple[int, int]]:
    wanted, found = {("--pid", str(pid)), ("--ticks", str(ticks))}, []
    for other in process.pids():
        words = process.command_line(other)
        if WATCHDOG in words and wanted <= set(pairwise(words)):
            since = start_ticks(other)
            if since is not None and process.command_line(other) == words:  # else another one has the pid by now
                found.append((other, since))
    return found
