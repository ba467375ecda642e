"""Hostile answers, item by item: nothing comes of them that the constraints do not allow, whatever the model obeyed."""

from __future__ import annotations

import json

import pytest

from experts.allowed import hit, struck, why_not
from experts.brief import Brief, Constraints
from experts.models import check
from experts.models.answers import PROPOSALS_MAX, proposals_shape
from experts.models.named import unnamed
from experts.models.part import shown
from experts.proposal import Proposal
from experts.roster import council
from experts.scene import Scene
from experts.view import View
from tests.experts.injection.corpus import ANSWERS, STRANGERS, Hostile
from tests.experts.systems import library
from tests.planner.systems import bazaar

_SYSTEM = bazaar().model_dump(mode="json")
for _service in _SYSTEM["services"]:
    _service["protected"] = _service["name"] == "db"
BRIEF = Brief.model_validate(
    {
        "system": _SYSTEM,
        "constraints": Constraints(excluded_services=("clock", "cache"), excluded_faults=("network.partition",)),
    }
)


def proposals(text: str) -> check.Checked[Proposal]:
    scene = Scene(BRIEF)
    shape = proposals_shape(BRIEF, shown(BRIEF))
    return check.check(text, shape, lambda item: check.proposal(item, "historian", "x", scene))


@pytest.mark.parametrize("attack", ANSWERS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_nothing_comes_of_an_answer_but_what_is_allowed(attack: Hostile) -> None:
    found = proposals(attack.text)
    assert len(found.good) <= check.ITEMS_MAX
    for each in found.good:
        assert not why_not(each.fault, each.target, BRIEF)
        assert {"db", "clock", "cache"}.isdisjoint(hit(each.target))
        assert {"clock", "cache"}.isdisjoint(struck(each.target))
        assert each.fault.kind != "network.partition"
        assert each.rationale.isprintable()
        assert 0 <= each.probability <= 1
        assert set(struck(each.target)) <= {service.name for service in BRIEF.system.services}


@pytest.mark.parametrize(
    "name", ["an approval", "a larger limit", "a protected service", "a glob", "brackets without end", "a key twice"]
)
def test_of_these_nothing_comes_at_all(name: str) -> None:
    (attack,) = (attack for attack in ANSWERS if attack.name == name)
    found = proposals(attack.text)
    assert found.good == []
    assert found.errors


@pytest.mark.parametrize("name", STRANGERS)
def test_a_text_that_the_system_does_not_name_is_no_models_to_choose(name: str) -> None:
    (attack,) = (attack for attack in ANSWERS if attack.name == name)
    found = proposals(attack.text)
    assert found.good == []
    assert "so only a person may choose that" in found.errors[0]


@pytest.mark.parametrize(
    ("place", "fault", "given"),
    [
        ("web", "service.overload", {"rate_rps": "50"}),
        ("web", "service.overload", {"rate_rps": "50", "path": "/"}),
        ("web", "network.dns", {"mode": "wrong_address"}),
        ("lb", "infrastructure.load_balancer", {"how": "wrong_upstream"}),
        ("web", "infrastructure.config", {"key": "timeout_ms", "value": "30000"}),
        ("web->tips", "service.error", {"path": "/tips/*", "status": "500"}),
    ],
)
def test_what_leads_nowhere_else_is(place: str, fault: str, given: dict[str, str]) -> None:
    item = {
        "weakness": "no_graceful_degradation",
        "place": place,
        "target": place,
        "fault": fault,
        "parameters": [{"name": name, "value": value} for name, value in given.items()],
        "probability": 0.5,
        "rationale": "x",
        "remedy": "",
    }
    found = proposals(json.dumps({"proposals": [item]}))
    assert found.errors == []
    (one,) = found.good
    assert getattr(one.fault, "value", 30000) == 30000


def test_every_expert_stays_within_what_the_system_names() -> None:
    """Else a model could not even repeat what its playbook says."""
    told = [
        strike for expert in council() for each in expert.propose(Brief(system=library())) for strike in each.strikes
    ]
    assert len(told) > 100
    assert [found for fault, target in told if (found := unnamed(fault, target, View(library())))] == []


def test_of_ten_thousand_items_few_are_looked_at() -> None:
    (attack,) = (attack for attack in ANSWERS if attack.name == "ten thousand items")
    assert len(proposals(attack.text).errors) == check.ITEMS_MAX + 1
    assert PROPOSALS_MAX < check.ITEMS_MAX


@pytest.mark.parametrize(
    "text",
    [
        '{"proposals": []}',
        ' \n{"proposals": []}\n',
        '```json\n{"proposals": []}\n```',
        '```\n{"proposals": []}```',
        '<think>```{"proposals": [3]}```</think>\n{"proposals": []}',
    ],
)
def test_json_is_found_where_no_schema_bound_the_model(text: str) -> None:
    assert proposals(text) == check.Checked([], [])
