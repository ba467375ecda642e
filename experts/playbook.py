"""What an expert knows by heart: ``playbook.yaml``, read, checked, and held against a system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from executor.errors import InputError
from executor.model.system import System
from executor.model.vocabulary import Weakness
from experts.applicable import Rule, rules
from experts.brief import Brief
from experts.conditions import When, edge_is, service_is
from experts.entries import Entry, Playbook
from experts.scene import Scene
from experts.view import View


def read_playbook(text: str, where: str) -> Playbook:
    """The playbook in ``text``. Raises ``InputError`` naming the file (``where``), the entry, and what is wrong."""
    try:
        data = yaml.safe_load(text)
        return Playbook.model_validate(data)
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())}.", where=where) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{_entry(data, first['loc'])}{first['msg'].removeprefix('Value error, ')}.",
            where=where,
            hint="Known words are the fields of experts/playbook.py and experts/conditions.py.",
        ) from None


def _entry(data: Any, loc: tuple[int | str, ...]) -> str:
    path = ".".join(str(part) for part in loc)
    if len(loc) > 1 and loc[0] == "entries" and isinstance(loc[1], int):
        raw = data["entries"][loc[1]]
        name = raw.get("id", loc[1]) if isinstance(raw, dict) else loc[1]
        path = ".".join(str(part) for part in loc[2:])
        return f"entry {name}: {path}: " if path else f"entry {name}: "
    return f"{path}: " if path else ""


COUNCIL = (
    "reliability-engineer",
    "network-engineer",
    "performance-engineer",
    "data-engineer",
    "platform-engineer",
    "safety-officer",
    "historian",
)
"""Folders of ``experts/council``, in the order in which they are heard."""


@cache
def playbook(expert: str) -> Playbook:
    """The bundled playbook of that expert."""
    found = read_playbook(_file(expert, "playbook.yaml"), f"experts/council/{expert}/playbook.yaml")
    if found.expert != expert:
        raise InputError(f"expert is {found.expert}, but the folder is {expert}.", where=f"experts/council/{expert}")
    return found


def persona(expert: str) -> str:
    """Who that expert is, in Markdown."""
    return _file(expert, "persona.md")


def _file(expert: str, name: str) -> str:
    return (resources.files("experts.council") / expert / name).read_text(encoding="utf-8")


def speaks_of(entry: Entry, place: str, scene: Scene) -> bool:
    """Whether the entry speaks of the place: a service or an edge of the right kind, and as its conditions want it."""
    at_edge = scene.view.edge(place) is not None
    return at_edge == (entry.at == "edge") and fits(entry.when, entry.weakness, place, scene)


def places(entry: Entry | Rule, scene: Scene) -> Iterator[str]:
    """Places of the system that the entry speaks of, in the system's order."""
    if entry.at == "service":
        candidates = [service.name for service in scene.view.system.services]
    else:
        candidates = [edge.place for edge in scene.view.system.dependencies]
    return (place for place in candidates if fits(entry.when, entry.weakness, place, scene))


def fits(when: When, weakness: Weakness, place: str, scene: Scene) -> bool:
    """Whether the place, and what is known of this weakness there, is as the conditions want it."""
    return looks(when, place, scene.view) and scene.known_as(when, weakness, place)


def looks(when: When, place: str, view: View) -> bool:
    """Whether the place alone is as the conditions want it; a place that the system lacks never is."""
    edge = view.edge(place)
    if edge is None:
        service = view.service(place)
        return service is not None and service_is(when.service, service, view)
    return (
        edge_is(when.edge, edge, view)
        and service_is(when.caller, view.one(edge.caller), view)
        and service_is(when.callee, view.one(edge.callee), view)
    )


def base_rate(entry: Entry | Rule, place: str, scene: Scene) -> float:
    """The entry's rate for a place that fits it."""
    for special in entry.rates:
        if fits(special.when, entry.weakness, place, scene):
            return special.rate
    return entry.base_rate


def base_rates(system: System) -> dict[tuple[Weakness, str], tuple[float, str]]:
    """Each hypothesis that applies to the system, whether or not somebody would propose it: (rate, where that is from).

    Where playbooks see it, the rate of the entry most worried and ``expert/entry``; elsewhere its class's own, of the
    rule most worried, and the rule's source.
    """
    scene = Scene(Brief(system=system))
    seen = [(entry, f"{expert}/{entry.id}") for expert in COUNCIL for entry in playbook(expert).entries]
    classes = [(rule, f"of its class, after {rule.source}"[:300]) for rule in rules()]
    return {**_most_worried(classes, scene), **_most_worried(seen, scene)}


def _most_worried(
    told: Iterable[tuple[Entry | Rule, str]], scene: Scene
) -> dict[tuple[Weakness, str], tuple[float, str]]:
    rates: dict[tuple[Weakness, str], tuple[float, str]] = {}
    for entry, source in told:
        for place in places(entry, scene):
            rate = base_rate(entry, place, scene)
            if rate > rates.get((entry.weakness, place), (0.0, ""))[0]:
                rates[entry.weakness, place] = (rate, source)
    return rates
