"""Templates: findings that reproduced, as what can be tried again at every place that looks like theirs.

Mined from the ledger each time they are asked for; nothing of them is kept anywhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from executor.measure.intervals import Share
from executor.model.digest import digest
from executor.model.evidence import Finding
from executor.model.faults import FaultSpec
from executor.model.plan import Action, EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from executor.model.wording import named
from knowledge.features import Features, describe
from knowledge.resilience.measures import Dimension, Measure
from knowledge.rows import PastRow

RUNS_MIN: Final = 2
"""A finding must have been seen in so many runs, at one place of one system under one kind of fault."""
Struck = Literal["place", "callee", "caller", "edges_in", "edges_out", "edges_beyond", "cut"]
"""What was struck, as seen from the place of the weakness."""
_CHECKED: Final = {Dimension.AVAILABILITY, Dimension.LATENCY, Dimension.DEGRADATION}


@dataclass(frozen=True)
class Look:
    """What a place must look like for a template to fit it. Empty: not known, and anything fits."""

    shape: str
    kind: str
    technology: str
    caller_kind: str
    caller_technology: str
    protocol: str
    redundant: str = ""
    """``yes`` or ``no``, of a service: where one of several instances dies tells nothing of where the only one does."""

    @classmethod
    def of(cls, features: Features) -> Look:
        """Of a place."""
        several = "yes" if features.instances > 1 else "no"
        return cls(
            shape=features.shape,
            kind=features.kind,
            technology=features.technology,
            caller_kind=features.caller_kind,
            caller_technology=features.caller_technology,
            protocol=features.protocol,
            redundant=several if features.shape == "service" else "",
        )

    def fits(self, other: Look) -> bool:
        """Whether a place that looks like ``other`` fits."""
        mine, theirs = vars(self), vars(other)
        return mine["shape"] == theirs["shape"] and all(not mine[n] or mine[n] == theirs[n] for n in mine)

    def words(self) -> str:
        """For people: ``calls of flask (http) to postgresql (database) over postgresql``; ``cache services with …``."""
        callee = f"{self.technology} ({named(self.kind)})" if self.technology else named(self.kind)
        if self.shape == "service":
            return f"{callee} services with {'several instances' if self.redundant == 'yes' else 'one instance'}"
        caller = f"{self.caller_technology} ({named(self.caller_kind)})" if self.caller_technology else self.caller_kind
        return f"calls of {caller} to {callee}" + (f" over {self.protocol}" if self.protocol else "")


@dataclass(frozen=True)
class Try:
    """One verdict of its record."""

    run: str
    experiment: str
    system: str
    place: str
    verdict: Verdict
    fault: str


@dataclass(frozen=True)
class Template:
    """What to do where to see a weakness again, and how often that was seen."""

    name: str
    weakness: Weakness
    look: Look
    struck: Struck
    action: Action
    """Fault, parameters and length as they last showed it. Its target is that of the original place."""
    checks: tuple[str, ...]
    """What was asked meanwhile at the original place."""
    statement: str
    remedy: str
    record: tuple[Try, ...]
    """Every decided verdict at places that fit, under this kind of fault struck there; oldest first."""

    @property
    def broke(self) -> Share:
        """How often it showed the weakness, of how many decided tries, with its 95 % interval."""
        return Share(sum(each.verdict is Verdict.BREAKS for each in self.record), len(self.record))

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """(system, place) pairs where it was seen, sorted."""
        return tuple(sorted({(each.system, each.place) for each in self.record if each.verdict is Verdict.BREAKS}))

    @property
    def latest(self) -> Try:
        """The last of its record."""
        return self.record[-1]

    @property
    def shown(self) -> Try:
        """The last that showed it."""
        return [each for each in self.record if each.verdict is Verdict.BREAKS][-1]

    @property
    def again(self) -> str:
        """Names the experiment that last showed it, for ``murphy plan --again``."""
        return f"{self.shown.run}/{self.shown.experiment}"

    def fits(self, system: System) -> tuple[str, ...]:
        """The system's places that look like its own, in the system's order."""
        places = [service.name for service in system.services] + [edge.place for edge in system.dependencies]
        return tuple(p for p in places if self.look.fits(Look.of(describe(system, self.weakness, p))))

    def foreign(self, system: System) -> str:
        """A parameter that names something of the systems it was seen in, ``table=orders``; empty if this is one."""
        if any(each.system == system.name for each in self.record):
            return ""
        given = self.action.fault.model_dump(exclude_defaults=True)
        return next((f"{key}={value}" for key, value in given.items() if _names(key, value, self.action.fault)), "")


def templates(
    past: Sequence[PastRow],
    actions: Mapping[tuple[str, str], Sequence[Action]],
    findings: Sequence[Finding] = (),
    measures: Mapping[str, Sequence[Measure]] | None = None,
) -> tuple[Template, ...]:
    """Of the results of all systems, oldest first, and what was done; the most often seen first, then by name.

    Experiments of several faults at once, or whose target has no simple relation to the place, make none.
    """
    groups: dict[tuple[Weakness, str, Struck, Look], list[tuple[PastRow, Action]]] = defaultdict(list)
    for row in past:
        done = actions.get((row.run, row.experiment), ())
        struck = relation(row.place, done[0].target) if len(done) == 1 else None
        if row.decided and struck:
            groups[row.weakness, done[0].fault.kind, struck, Look.of(row.features)].append((row, done[0]))
    remedies = {(found.run, found.weakness, found.place): found.remedy for found in findings}
    made = [
        _template(key, tried, remedies, measures or {})
        for key, tried in groups.items()
        if any(len(runs) >= RUNS_MIN for runs in _seen(tried).values())
    ]
    return tuple(sorted(made, key=lambda each: (-each.broke.good, each.name)))


def relation(place: str, target: Target) -> Struck | None:
    """What a target is to a place; ``None`` for what is not told so simply."""
    caller, _, callee = place.rpartition("->")
    if isinstance(target, InstanceTarget):
        named_so: dict[str, Struck] = {callee: "callee", caller: "caller"} if caller else {callee: "place"}
        return named_so.get(target.service)
    if isinstance(target, GroupsTarget):
        return "cut" if caller and (target.a, target.b) == ((caller,), (callee,)) else None
    if caller:
        if (target.caller, target.callee) == (caller, callee):
            return "place"
        return "edges_beyond" if target.caller == callee else None
    return "edges_out" if target.caller == callee else "edges_in" if target.callee == callee else None


def targets(struck: Struck, place: str, like: Target, system: System) -> tuple[Target, ...]:
    """What would have to be struck at another place, one target an experiment; as many instances as ``like`` has."""
    caller, _, callee = place.rpartition("->")
    if struck == "cut":
        return (GroupsTarget(a=(caller,), b=(callee,)),)
    if isinstance(like, InstanceTarget):
        many = len(like.ids) or like.count
        return (InstanceTarget(service=caller if struck == "caller" else callee, count=many),)
    if struck == "place":
        return (EdgeTarget(caller=caller, callee=callee),)
    return tuple(
        EdgeTarget(caller=edge.caller, callee=edge.callee)
        for edge in system.dependencies
        if (edge.callee if struck == "edges_in" else edge.caller) == callee
    )


def _seen(tried: Sequence[tuple[PastRow, Action]]) -> dict[tuple[str, str], set[str]]:
    """Runs in which each (system, place) broke."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row, _ in tried:
        if row.verdict is Verdict.BREAKS:
            seen[row.system, row.place].add(row.run)
    return seen


def _template(
    key: tuple[Weakness, str, Struck, Look],
    tried: Sequence[tuple[PastRow, Action]],
    remedies: Mapping[tuple[str, Weakness, str], str],
    measures: Mapping[str, Sequence[Measure]],
) -> Template:
    weakness, kind, struck, look = key
    seen = _seen(tried)
    # of those that reproduced the latest, whose parameters are known to show it
    row, action = [
        (r, a) for r, a in tried if r.verdict is Verdict.BREAKS and len(seen[r.system, r.place]) >= RUNS_MIN
    ][-1]
    told = {"weakness": weakness.value, "fault": kind, "struck": struck, **vars(look)}
    checks = {m.of for m in measures.get(row.run, ()) if m.experiment == row.experiment and m.dimension in _CHECKED}
    return Template(
        name=f"{weakness.value.replace('_', '-')}-{kind.rpartition('.')[2].replace('_', '-')}-{digest(told)[7:13]}",
        weakness=weakness,
        look=look,
        struck=struck,
        action=action,
        checks=tuple(sorted(checks)),
        statement=row.statement,
        remedy=remedies.get((row.run, row.weakness, row.place), ""),
        record=tuple(Try(r.run, r.experiment, r.system, r.place, r.verdict, r.fault) for r, _ in tried),
    )


def _names(key: str, value: object, fault: FaultSpec) -> bool:
    """Whether a parameter names something: free text, and none of a few words."""
    if key == "kind" or not isinstance(value, str | tuple | list):
        return False
    annotation = str(type(fault).model_fields[key].annotation)
    return "Literal" not in annotation and "Enum" not in annotation
