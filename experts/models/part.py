"""Which part of a system a model is told of, and may therefore answer about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from executor.model.plan import Experiment
from executor.model.system import Dependency, Service
from experts.allowed import target_name
from experts.brief import Brief
from experts.proposal import Proposal

SERVICES_MAX = 120


@dataclass(frozen=True)
class Part:
    """Services, and the edges between them."""

    services: tuple[Service, ...]
    dependencies: tuple[Dependency, ...]


def shown(brief: Brief, proposals: Sequence[Proposal] = (), experiment: Experiment | None = None) -> Part:
    """All of the system; of one too large for a prompt what these speak of."""
    system = brief.system
    if len(system.services) <= SERVICES_MAX:
        return Part(system.services, system.dependencies)
    named = {end for each in proposals for place in (each.place, target_name(each.target)) for end in ends(place)}
    if experiment is not None:
        named |= {end for one in experiment.hypotheses for end in ends(one.place)}
    return Part(
        tuple(service for service in system.services if service.name in named),
        tuple(edge for edge in system.dependencies if {edge.caller, edge.callee} <= named),
    )


def ends(place: str) -> list[str]:
    """The services of a place."""
    return place.split("->")
