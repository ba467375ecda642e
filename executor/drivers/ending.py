"""Ending a process and its workers by signals, as here so on another machine. Standard library only."""

from __future__ import annotations

from signal import Signals

from executor.kernel import process

Members = list[list[int]]
"""Pid and start time of a process and of its workers, itself first."""
ENDS_WITHIN_S = 5.0
DUMPS_WITHIN_S = 10.0
"""A process that dumps core ends only when the core is written."""


def kill(members: Members, signal: str, *, where: str) -> None:
    """Send the signal to it and its workers, and see the processes end.

    Raises ``UnavailableError`` if it was gone before, or one stays.
    """
    process.end_all(members, Signals[f"SIG{signal}"], DUMPS_WITHIN_S, where=where)


def stop(members: Members, grace_s: float, *, where: str) -> None:
    """SIGTERM, wait for the grace time, then SIGKILL to what is left. Raises as ``kill`` does."""
    head = members[:1]
    if not process.end_all(head, Signals.SIGTERM, grace_s, where=where, surely=False):
        process.end_all(head, Signals.SIGKILL, ENDS_WITHIN_S, where=where)
    _end_workers(members)


def finish(members: Members, grace_s: float) -> None:
    """See one that was asked to end come to its end, within the grace time or by SIGKILL."""
    pid, ticks = members[0]
    if not process.wait_gone(pid, ticks, grace_s):
        process.send(pid, ticks, Signals.SIGKILL)
        process.wait_gone(pid, ticks, ENDS_WITHIN_S)
    _end_workers(members)


def _end_workers(members: Members) -> None:
    """A server ends its workers itself; a killed one could not."""
    for pid, ticks in members[1:]:
        process.send(pid, ticks, Signals.SIGKILL)
