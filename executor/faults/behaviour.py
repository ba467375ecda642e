"""The one small protocol behind every fault.

A behaviour holds no state: ``prepare`` writes down, as JSON, all that ``inject``, ``active`` and ``revert`` need, so
that another process can undo the fault from the record alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from executor.drivers.driver import unfit
from executor.drivers.targets import EdgeTargets, ProcessTarget, Resolved

if TYPE_CHECKING:  # the watchdog loads behaviours and must stay small: no pydantic at run time here
    from executor.model.system import System
    from executor.model.vocabulary import Scope

Record = Mapping[str, Any]
"""All that is needed to make, observe and undo one fault, as plain JSON; holds references to secrets, never secrets."""

NOBODY = -1
"""A start time that no process has."""


def of_another_boot(record: Record, *, outside: bool = False) -> dict[str, Any]:
    """The record of a fault that was made before this boot: no process that it names is there any more.

    Early in a boot, pids and start times come again; another process must not be taken for the one of then. What ran
    ``outside``, in a pid namespace that has ended since, a container's say, ended with it and is not started here:
    whoever makes that namespace again starts it there.
    """
    forgotten: dict[str, Any] = dict(record)
    if "ticks" in forgotten:
        forgotten["ticks"] = NOBODY
    if "members" in forgotten:
        forgotten["members"] = [[pid, NOBODY] for pid, _ in forgotten["members"]]
        if outside and "count" in forgotten:
            forgotten["count"] = 0
    return forgotten


LeaseKind = Literal["kernel", "parent_death", "server", "watchdog"]
"""What ends the fault when nobody renews it."""


@dataclass(frozen=True)
class Context:
    """What ``prepare`` may know beside its target."""

    system: System
    mark: str
    """Unique to this injection; everything that is made on the host carries it in its name."""
    scratch: str
    """Directory for sockets and files of this run, 0700."""


class Behaviour(Protocol):
    """How one fault is made and undone. Methods may block for seconds; they run in worker threads."""

    kind: str
    """The spec's ``kind``."""
    lease: LeaseKind

    # ``fault`` is the behaviour's own spec class, a narrower type than a protocol could demand of all of them.
    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Why this cannot be done here, in one sentence with what to do about it; ``None`` if it can."""

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Read the target, touch nothing, and return the record. Raises ``UnavailableError`` if the target is gone."""

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Make the fault, to end by itself after ``lease_s`` seconds where its lease kind can.

        Returns what was learned by doing it (a child's pid, say), which is merged into the durable record.
        If it raises, ``revert`` is owed and must work.
        """

    def active(self, record: Record) -> bool | None:
        """Whether the fault is there now, asked of the target. ``None``: cannot tell, which counts as still there."""

    def revert(self, record: Record) -> str | None:
        """Undo. Idempotent; works after any partial inject, in another process, and when the target is gone.

        Returns what that carried the fault had gone before, where that harms by itself (a dead proxy refuses all).
        """


@runtime_checkable
class Renewable(Protocol):
    """A fault whose own lease (kernel timeout, server time-out, child deadline) must be pushed on from time to time."""

    def renew(self, record: Record, lease_s: float) -> None:
        """Let the fault live ``lease_s`` seconds from now. One that is gone stays gone.

        Raises ``FaultGoneError`` if what carried it is gone, and ``UnavailableError`` if it cannot be renewed.
        """


@runtime_checkable
class Unclaimed(Protocol):
    """A fault that two processes may undo at the same moment: none waits for another, nor for the disk."""

    unclaimed: bool


@runtime_checkable
class Momentary(Protocol):
    """A fault that is done at a stroke, and whose target may get well by itself while it counts as made.

    A crash under a quick supervisor, say: ``active`` may already say no when the executor asks whether it took, and
    that it says so before its time tells nothing; but see ``Lasting``.
    """

    def struck(self, record: Record) -> bool:
        """Whether the stroke fell, whatever has happened to the target since."""


@runtime_checkable
class Lasting(Protocol):
    """A momentary fault that in some of its ways stays until it is undone: a machine that is paused, say."""

    def lasts(self, record: Record) -> bool:
        """Whether this one does, so that it has ended before its time if ``active`` says no."""


@runtime_checkable
class Demanding(Protocol):
    """A fault that not every machine can make, whatever the target."""

    def lacking(self) -> str | None:
        """What this machine lacks for it, in one sentence with what to do about it; ``None``: nothing."""


@runtime_checkable
class PartlyDemanding(Protocol):
    """A fault of which not every machine can make every way."""

    def ways_lacking(self) -> dict[str, str]:
        """What this machine lacks for some of its ways (``how``), each in one sentence with what to do about it.

        ``unsupported`` says so too.
        """


def lacking(how: Behaviour) -> str | None:
    """What this machine lacks for a fault, whatever the target; ``None``: nothing, or it takes a target to tell."""
    return how.lacking() if isinstance(how, Demanding) else None


def ways_lacking(how: Behaviour) -> dict[str, str]:
    """What this machine lacks for some ways of a fault, whatever the target, by way; the others it can make."""
    return how.ways_lacking() if isinstance(how, PartlyDemanding) else {}


@runtime_checkable
class Narrower(Protocol):
    """A fault that may reach less far than its spec says, which shows when its target is looked at."""

    def reaches(self, fault: Any, target: Resolved) -> tuple[Scope, ...]:
        """How far it reaches there."""


@runtime_checkable
class Telling(Protocol):
    """A fault that measures something itself, which goes on the run's time line."""

    def tells(self, record: Record) -> str:
        """What was measured beside what was asked, in words; empty if nothing can be told. Raises nothing.

        Asked once, right before the fault is undone.
        """


@runtime_checkable
class Finite(Protocol):
    """A fault that may have done all that it is for before its time is over."""

    def done(self, record: Record) -> bool | None:
        """Whether it has; ``None``: this one lasts as long as it is asked to."""


@runtime_checkable
class Keeping(Protocol):
    """A fault that writes down what it sees, to be kept with the run."""

    def keeps(self, record: Record) -> str | None:
        """The file of it, in the run's scratch; ``None``: this one writes nothing."""


def why_not(how: Behaviour, fault: Any, target: Resolved) -> str | None:
    """Why a fault cannot be made on a target here, in one sentence with what to do about it; ``None`` if it can."""
    unmet = None if isinstance(target, EdgeTargets) else unfit(target, getattr(how, "needs", ProcessTarget))
    return unmet or lacking(how) or how.unsupported(fault, target)
