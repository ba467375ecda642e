"""The steps of a search for the largest rate that a service carries, as they are recorded, and what each one says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from executor.errors import RateNotReachedError
from executor.load.load import require_reached
from executor.load.window import Window
from executor.measure.capacity.search import Outcome
from executor.measure.capacity.sequential import LevelTest

AMPLE = 4.0
"""Requests under way that are so many times those of a service which is just in time are an overload."""
Part = Literal["search", "curve", "after"]


@dataclass(frozen=True)
class Promise:
    """What counts as carried."""

    good_within_s: float
    """Latency, from when a request was due, within which its answer is good."""
    good_share: float
    """How many of the requests must be good, 0–1."""

    @property
    def warmup_s(self) -> float:
        """After this a level that is carried has as many under way as it will have."""
        return 2 * self.good_within_s

    def test(self) -> LevelTest:
        """The test of one rate."""
        return LevelTest(self.good_share, warmup_s=self.warmup_s)


@dataclass(frozen=True)
class Usage:
    """What a process and its workers used of each resource at one moment."""

    at_s: float
    """Seconds since the step began."""
    cpu_cores: float
    """Processor time since the last look, of all of them, as cores that are fully used."""
    waiting_cores: float
    """In the same way, the time that their threads were ready to compute and others had the processors."""
    busiest: float
    """Both together, of the process that wanted most."""
    cores: float
    """Cores that they may use."""
    memory_bytes: int
    memory_max: int | None
    """Limit of their cgroup; ``None``: they have none."""
    descriptors: float
    """Of the process that has the largest share of its limit open: that share."""
    threads: int
    alive: bool = True
    """Whether the process was still there."""
    out_of_memory: bool = False
    """Whether the kernel has ended one of its cgroup for want of memory since the search began."""


@dataclass(frozen=True)
class Step:
    """A rate that was tried (``search``) or looked at for a fixed time (``curve``), or what came ``after`` an overload.

    That is a load, the overload, and the load again.
    """

    part: Part
    rate_rps: float
    windows: tuple[Window, ...]
    usage: tuple[Usage, ...] = ()
    seconds: float | None = None
    """How long requests were due; ``None``: until it was told."""
    overload_s: tuple[float, float] | None = None
    """Of ``after``: when the overload began and ended, seconds since the step began."""

    def line(self) -> str:
        """One line of a file."""
        return json.dumps(asdict(self))


def outcome(windows: Iterable[Window], rate_rps: float, promise: Promise, concurrency: int) -> Outcome:
    """Whether a rate was carried, by ``LevelTest``; ``unreachable`` where the generator did not make it.

    As many requests under way as may be are an overload if that many are ``AMPLE``; else nothing can be said.
    """
    test = promise.test()
    for window in windows:
        test.add(window)
    try:
        require_reached(test.windows)
    except RateNotReachedError as error:
        ample = error.by == "concurrency" and concurrency >= AMPLE * rate_rps * promise.good_within_s
        return "violated" if ample else "unreachable"
    return test.decision
