"""A brief made ready for questions: the topology, beliefs and past results, each found at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatchcase

from executor.model.faults import FaultSpec
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, KnownHypothesis, PastResult
from experts.conditions import When
from experts.past import kinds, same_faults
from experts.view import View

_Key = tuple[Weakness, str]


class Scene:
    """One brief, indexed once. Changes nothing and remembers nothing between briefs."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief
        self.view = View(brief.system)
        self._beliefs = {(known.weakness, known.place): known for known in brief.beliefs}
        self._here: dict[_Key, list[PastResult]] = defaultdict(list)
        self._broke: dict[Weakness, list[PastResult]] = defaultdict(list)
        for past in brief.past:
            if past.system == brief.system.name:
                self._here[past.weakness, past.place].append(past)
            if past.verdict is Verdict.BREAKS:
                self._broke[past.weakness].append(past)

    def belief(self, weakness: Weakness, place: str) -> KnownHypothesis | None:
        """What is believed of the weakness at the place, or ``None``."""
        return self._beliefs.get((weakness, place))

    def here(self, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
        """Results of this weakness at this very place of this very system, in the brief's order."""
        return tuple(self._here.get((weakness, place), ()))

    def tried(self, weakness: Weakness, place: str, *faults: FaultSpec) -> PastResult | None:
        """The latest result that says how this place stands these faults, if one does; inconclusive ones do not."""
        for past in reversed(self.here(weakness, place)):
            if past.verdict in (Verdict.HOLDS, Verdict.BREAKS) and same_faults(past.fault, faults):
                return past
        return None

    def broke_nearby(self, weakness: Weakness, place: str) -> tuple[PastResult, ...]:
        """Breaks of the same weakness at places that share a service with this one, or in similar systems."""
        ends = set(place.split("->"))
        name = self.brief.system.name
        return tuple(
            past
            for past in self._broke.get(weakness, ())
            if (past.system, past.place) != (name, place)
            and (past.system != name or ends & set(past.place.split("->")))
        )

    def known_as(self, when: When, weakness: Weakness, place: str) -> bool:
        """Whether what is believed and what happened before is as the conditions want it."""
        known = self.belief(weakness, place)
        probability = known.probability if known else None
        if when.believed_min is not None and (probability is None or probability < when.believed_min):
            return False
        if when.believed_max is not None and (probability is None or probability > when.believed_max):
            return False
        here = self.here(weakness, place)
        if when.held_under is not None and not _some(here, Verdict.HOLDS, when.held_under):
            return False
        if when.broke_under is not None and not _some(here, Verdict.BREAKS, when.broke_under):
            return False
        return when.broke_nearby is None or bool(self.broke_nearby(weakness, place)) == when.broke_nearby


def _some(results: Iterable[PastResult], verdict: Verdict, globs: tuple[str, ...]) -> bool:
    return any(
        past.verdict is verdict and any(fnmatchcase(kind, glob) for kind in kinds(past.fault) for glob in globs)
        for past in results
    )
