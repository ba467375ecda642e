"""The cascade of one experiment over its trials: who fell, in which order, along which dependencies, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from executor.measure.cascade.figures import figures
from executor.measure.cascade.onset import Onset, onsets, struck_onset, untold, watched
from executor.measure.cascade.propagation import Step, Trial, propagation
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
    """In how many of the trials in which it was well before the fault."""
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
    """Whether it is the edge by which the failure mostly came to the caller: at most one is, and these form no ring."""


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
    untold: tuple[str, ...]
    """At risk and not seen to fall either; but not well before the fault in one of the trials, or hardly watched."""
    before: tuple[tuple[str, str], ...]
    """Pairs of which the first surely fell before the second, in every trial in which both fell."""
    links: tuple[Link, ...]
    figures: tuple[Figure, ...]

    @property
    def depth(self) -> int:
        """The most calls that it travelled in any trial."""
        return max((each.hops for each in self.fallen if each.hops is not None), default=0)

    def cause(self, service: str) -> Link | None:
        """The edge by which it mostly came to a service; ``None``: no dependency explains it."""
        return next((link for link in self.links if link.leads and link.way.caller == service), None)


def cascade(experiment: Experiment, trials: Sequence[Samples], edges: Iterable[Edge]) -> Cascade:
    """Follow a failure over all trials that had the fault; ``edges`` are the system's dependencies."""
    told = [samples for samples in trials if samples.trial.injected_s is not None and not samples.trial.lost]
    targets, reached = struck(experiment), spread(experiment, told)
    began = [onsets(experiment, samples) for samples in told]
    known = reached.told.union(targets, *began)  # what has nothing to do with the fault stands in nobody's way
    along = felt(edges, experiment)
    seen = [_trial(experiment, each, samples, along, known) for each, samples in zip(began, told, strict=True)]
    own = [bool(targets & set(each)) for each in began] if targets & watched(experiment) else []
    fallen = [_fallen(name, seen) for name in {name for each in seen for name in each.hurt}]
    return Cascade(
        struck=tuple(sorted(targets)),
        trials=len(seen),
        target_hurt=Share(sum(own), len(own)),
        fallen=tuple(sorted(fallen, key=lambda each: (each.onset.value, each.service))),
        spared=tuple(sorted(reached.spared)),
        untold=tuple(sorted(reached.untold)),
        before=tuple(_before([each.service for each in fallen], seen)),
        links=tuple(_links(seen)),
        figures=tuple(figures(experiment.id, seen, Share(len(reached.spared), len(reached.told)))),
    )


def _trial(
    experiment: Experiment,
    began: Mapping[str, Onset],
    samples: Samples,
    edges: Collection[Edge],
    known: frozenset[str],
) -> Trial:
    targets, injected, open_ends = struck(experiment), struck_onset(samples), untold(experiment, samples)
    hurt = {name: at for name, at in began.items() if name not in targets}
    graph = propagation(ways(edges, known - (open_ends - targets)), hurt, targets, injected)
    return Trial(injected, samples.trial.help_begins_s, hurt, open_ends, graph)


def _fallen(service: str, trials: Sequence[Trial]) -> Fallen:
    told = [trial for trial in trials if service in trial.hurt]
    hops = [trial.graph.hops[service] for trial in told if service in trial.graph.hops]
    after = [trial.hurt[service].after(trial.injected) for trial in told]
    mean = mean_span(after)
    late = sum(trial.hurt[service].low_s >= trial.help_begins_s for trial in told)
    return Fallen(
        service=service,
        seen=Share(len(told), sum(service not in trial.untold for trial in trials)),
        onset=Span(*(max(0.0, part) for part in (mean.value, mean.low, mean.high))),
        after=late,
        hops=min(hops, default=None),
    )


def _before(fallen: Sequence[str], trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    for first, second in permutations(sorted(fallen), 2):
        both = [trial.hurt for trial in trials if first in trial.hurt and second in trial.hurt]
        if both and all(hurt[first].before(hurt[second]) for hurt in both):
            yield first, second


def _links(trials: Sequence[Trial]) -> Iterator[Link]:
    """The caller's cause is what its shortest way from what was struck takes most often, of what leads there itself."""
    seen: dict[Way, list[Step]] = {}
    led: Counter[Way] = Counter()
    for trial in trials:
        for step in trial.graph.steps:
            seen.setdefault(step.way, []).append(step)
            led[step.way] += trial.graph.cause(step.way.caller) is step
    lags = {way: mean_span([step.lag for step in steps]) for way, steps in seen.items()}
    ranked = sorted(seen, key=lambda way: (-led[way], -len(seen[way]), abs(lags[way].value), way.caller, way.callee))
    reached = {name for trial in trials for name, hops in trial.graph.hops.items() if not hops}
    leading = set[Way]()
    while found := next((w for w in ranked if led[w] and w.callee in reached and w.caller not in reached), None):
        reached.add(found.caller)
        leading.add(found)
    for way in sorted(seen, key=lambda way: (way.caller, way.callee, way.via)):
        steps = seen[way]
        yield Link(
            way=way,
            seen=Share(len(steps), len(trials)),
            ties=sum(step.tie for step in steps),
            lag=lags[way],
            leads=way in leading,
        )
