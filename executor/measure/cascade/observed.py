"""The cascade of one experiment over its trials: who fell, in which order, along which dependencies, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from executor.measure.cascade.figures import figures
from executor.measure.cascade.onset import Onset, onsets, struck_onset, watched
from executor.measure.cascade.propagation import Trial, propagation
from executor.measure.cascade.ways import Edge, Way, felt, ways
from executor.measure.containment import spread, struck
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.measure.spans import Span, mean_span
from executor.model.evidence import Figure
from executor.model.plan import Experiment


@dataclass(frozen=True)
class Fallen:
    """A service beyond the target that left its steady state."""

    service: str
    seen: Share
    """In how many of the trials."""
    onset: Span
    """Mean time from the injection to its first bad answer over those trials, seconds, with what sampling leaves open
    and the spread over them."""
    after: int
    """In how many of them it fell only once the fault was being taken away."""
    hops: int | None
    """Calls to the nearest that was struck, along the propagation graph; ``None``: no dependency explains it."""


@dataclass(frozen=True)
class Link:
    """An edge of the propagation graph."""

    way: Way
    seen: Share
    """In how many of the trials."""
    ties: int
    """In how many of these sampling could not tell which of the two came first."""
    lag: Span
    """Mean time from the callee's onset to the caller's, seconds, with the same interval."""
    leads: bool
    """Whether the caller's shortest way from what was struck takes it, in one of the trials at least."""


@dataclass(frozen=True)
class Cascade:
    """What the trials of one experiment show. Trials that had no fault, or lost it, are left out."""

    struck: tuple[str, ...]
    trials: int
    target_hurt: Share
    """In how many trials the target's own checks failed; of none if nobody watches it."""
    fallen: tuple[Fallen, ...]
    """By onset."""
    spared: tuple[str, ...]
    """At risk, watched, and never seen to fall."""
    links: tuple[Link, ...]
    figures: tuple[Figure, ...]

    @property
    def depth(self) -> int:
        """The most calls that it travelled in any trial."""
        return max((each.hops for each in self.fallen if each.hops is not None), default=0)

    def cause(self, service: str) -> Link | None:
        """The edge by which it mostly came to a service; ``None``: no dependency explains it."""
        leading = [link for link in self.links if link.leads and link.way.caller == service]
        return max(leading, key=lambda link: (link.seen.good, -abs(link.lag.value)), default=None)


def cascade(experiment: Experiment, trials: Sequence[Samples], edges: Iterable[Edge]) -> Cascade:
    """Follow a failure over all trials that had the fault; ``edges`` are the system's dependencies."""
    told = [samples for samples in trials if samples.trial.injected_s is not None and not samples.trial.lost]
    targets = struck(experiment)
    began = [onsets(experiment, samples) for samples in told]
    hurt, at_risk = spread(experiment, told)
    known = at_risk.union(targets, *began)  # what has nothing to do with the fault stands in nobody's way
    between = ways(felt(edges, experiment), known)
    seen = [_trial(each, targets, samples, between) for each, samples in zip(began, told, strict=True)]
    own = [bool(targets & set(each)) for each in began] if targets & watched(experiment) else []
    fallen = [_fallen(name, seen) for name in {name for each in seen for name in each.hurt}]
    return Cascade(
        struck=tuple(sorted(targets)),
        trials=len(seen),
        target_hurt=Share(sum(own), len(own)),
        fallen=tuple(sorted(fallen, key=lambda each: (each.onset.value, each.service))),
        spared=tuple(sorted(at_risk - hurt)),
        links=tuple(_links(between, seen)),
        figures=tuple(figures(experiment.id, seen, Share(len(at_risk) - len(hurt), len(at_risk)))),
    )


def _trial(began: Mapping[str, Onset], targets: frozenset[str], samples: Samples, between: Iterable[Way]) -> Trial:
    injected, hurt = struck_onset(samples), {name: at for name, at in began.items() if name not in targets}
    return Trial(injected, samples.trial.help_begins_s, hurt, propagation(between, hurt, targets, injected))


def _fallen(service: str, trials: Sequence[Trial]) -> Fallen:
    told = [trial for trial in trials if service in trial.hurt]
    hops = [trial.graph.hops[service] for trial in told if service in trial.graph.hops]
    after = [trial.hurt[service].after(trial.injected) for trial in told]
    mean = mean_span(after)
    late = sum(trial.hurt[service].low_s >= trial.help_begins_s for trial in told)
    return Fallen(
        service=service,
        seen=Share(len(told), len(trials)),
        onset=Span(*(max(0.0, part) for part in (mean.value, mean.low, mean.high))),
        after=late,
        hops=min(hops, default=None),
    )


def _links(between: Iterable[Way], trials: Sequence[Trial]) -> Iterator[Link]:
    for way in between:
        steps = [(trial, step) for trial in trials for step in trial.graph.steps if step.way == way]
        if steps:
            yield Link(
                way=way,
                seen=Share(len(steps), len(trials)),
                ties=sum(step.tie for _, step in steps),
                lag=mean_span([step.lag for _, step in steps]),
                leads=any(trial.graph.cause(way.caller) is step for trial, step in steps),
            )
