"""The propagation graph of one trial: along which dependencies the failure was seen to spread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from executor.measure.cascade.onset import Onset
from executor.measure.cascade.ways import Way, shortest
from executor.measure.spans import Span


@dataclass(frozen=True)
class Step:
    """The failure of a callee was followed by that of its caller, or came at the same moment as far as can be told."""

    way: Way
    lag: Span
    """From the callee's onset to the caller's, seconds, with what sampling leaves open."""

    @property
    def tie(self) -> bool:
        """Whether sampling cannot tell which of the two came first."""
        return self.lag.low <= 0


@dataclass(frozen=True)
class Propagation:
    """What one trial shows. Services that were hurt and no step leads to were hurt in a way no dependency explains."""

    steps: tuple[Step, ...]
    hops: Mapping[str, int]
    """Calls from each service that steps lead to, to the nearest that was struck, which itself has 0."""

    @property
    def depth(self) -> int:
        """The most of them; 0: it spread to nobody."""
        return max(self.hops.values(), default=0)

    def cause(self, service: str) -> Step | None:
        """The step to a service on its shortest way from what was struck; of several the one with the shortest lag."""
        leading = [
            step
            for step in self.steps
            if step.way.caller == service
            and step.way.callee in self.hops
            and self.hops[step.way.callee] + step.way.hops == self.hops.get(service)
        ]
        return min(leading, key=lambda step: (abs(step.lag.value), step.way.callee), default=None)


def propagation(
    ways: Iterable[Way], hurt: Mapping[str, Onset], struck: Collection[str], injected: Onset
) -> Propagation:
    """The steps among services that were hurt, whose order does not speak against them.

    What was struck fell with the injection, whatever its own checks say.
    """
    began = {**hurt, **dict.fromkeys(struck, injected)}
    steps = tuple(
        Step(way, _lag(began[way.caller], began[way.callee], way.callee in struck))
        for way in ways
        if way.caller in began
        and way.caller not in struck
        and way.callee in began
        and not began[way.caller].before(began[way.callee])
    )
    calls = {name: hops for name, (_, hops) in shortest((step.way for step in steps), struck).items()}
    return Propagation(steps, {**dict.fromkeys(struck, 0), **calls})


def _lag(caller: Onset, callee: Onset, of_struck: bool) -> Span:
    """From one onset to the other; nothing can have felt the fault before it began.

    The caller's first bad answer may have been asked for before the callee fell, and have met that on its way.
    """
    lag = caller.after(callee)
    high = lag.high if lag.high >= 0 else caller.lost_by_s - callee.low_s
    return Span(max(0.0, lag.value) if of_struck else lag.value, lag.low, high)


@dataclass(frozen=True)
class Trial:
    """What one trial gives."""

    injected: Onset
    help_begins_s: float
    """When the fault began to be taken away, seconds since the run started."""
    hurt: Mapping[str, Onset]
    """Services beyond the target that left their steady state."""
    untold: frozenset[str]
    """Services that were not well before the fault, so that nobody can tell."""
    graph: Propagation

    @property
    def last(self) -> Span | None:
        """From the injection until the last of them fell, seconds; ``None``: none did."""
        return max(
            (each.after(self.injected) for each in self.hurt.values()), key=lambda span: span.value, default=None
        )
