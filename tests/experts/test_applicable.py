"""Where classes of weakness can be at all: declared for every class, in words that hold for any system."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import Phase, given, settings
from pydantic import ValidationError

from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import ServiceKind, Weakness
from experts.applicable import Rule, rules
from experts.brief import Brief
from experts.conditions import EdgeIs, ServiceIs, When
from experts.playbook import COUNCIL, base_rates, places, playbook
from experts.scene import Scene
from tests.experts.systems import library, systems


def test_every_class_has_a_rule_with_an_honest_rate_and_a_source() -> None:
    assert {rule.weakness for rule in rules()} == set(Weakness)
    for rule in rules():
        assert 0.05 <= rule.base_rate <= 0.5, rule.weakness
        assert rule.source
        assert rule.because


@settings(max_examples=40, phases=[Phase.generate], derandomize=True)
@given(systems())
def test_whatever_a_playbook_suspects_its_class_allows(system: System) -> None:
    """A playbook that saw a weakness where its class cannot be would show a rule that is too narrow."""
    scene = Scene(Brief(system=system))
    allowed = {(rule.weakness, place) for rule in rules() for place in places(rule, scene)}
    suspected = {
        (entry.weakness, place)
        for name in COUNCIL
        for entry in playbook(name).entries
        for place in places(entry, scene)
    }
    assert suspected <= allowed
    assert base_rates(system).keys() == allowed
    there = {service.name for service in system.services} | {edge.place for edge in system.dependencies}
    for (_, place), (rate, source) in base_rates(system).items():
        assert place in there
        assert 0 < rate < 1
        assert source


def test_places_that_nobody_proposes_anything_for_are_there_too() -> None:
    rates = base_rates(library())
    suspected = {key for key, (_, source) in rates.items() if not source.startswith("of its class")}
    assert len(rates) > 1.5 * len(suspected)
    assert rates[Weakness.STALE_CREDENTIALS, "desk->shelves"][1].startswith("of its class, after AWS")
    assert rates[Weakness.UNUSABLE_BACKUP, "shelves"][0] == 0.25


@pytest.mark.parametrize(
    ("weakness", "place"),
    [
        (Weakness.COLD_CACHE_OVERLOAD, "desk->shelves"),  # no cache
        (Weakness.HARD_DEPENDENCY, "desk->shelves"),  # needed by design
        (Weakness.TIMEOUT_INVERSION, "desk->reviews"),  # who is called calls nobody
        (Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "desk->reviews"),  # there is only one
        (Weakness.STALE_NAME_RESOLUTION, "desk->reviews"),  # called by its address
        (Weakness.UNUSABLE_BACKUP, "desk"),  # keeps nothing
        (Weakness.MISSING_RETRY, "desk->reviews"),  # it may do without
    ],
)
def test_where_a_class_cannot_be_it_is_not_counted(weakness: Weakness, place: str) -> None:
    assert (weakness, place) not in base_rates(library())


def test_ordinary_services_without_any_declaration_have_their_classes() -> None:
    """Three services that say nothing of themselves, one of them in front of a store."""
    named = {"front": ServiceKind.GENERIC, "back": ServiceKind.GENERIC, "store": ServiceKind.DATABASE}
    system = System(
        name="plain",
        services=tuple(Service(name=name, kind=kind) for name, kind in named.items()),
        dependencies=(Dependency(caller="front", callee="back"), Dependency(caller="back", callee="store")),
    )
    found = Counter(place for _, place in base_rates(system))
    assert found["front->back"] >= 7
    assert found["back->store"] >= 7
    assert min(found[name] for name in named) >= 2


def test_a_rule_speaks_of_its_own_sort_of_place() -> None:
    told = {"weakness": Weakness.CAPACITY_CLIFF, "base_rate": 0.1, "because": "b", "source": "s"}
    with pytest.raises(ValidationError, match="rules at an edge"):
        Rule(at="service", when=When(edge=EdgeIs(named=True)), **told)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="caller or callee"):
        Rule(at="edge", when=When(service=ServiceIs(calls=True)), **told)  # type: ignore[arg-type]
