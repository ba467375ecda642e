"""Hostile answers, item by item: nothing comes of them that the constraints do not allow, whatever the model obeyed."""

from __future__ import annotations

import pytest

from experts.allowed import hit, struck, why_not
from experts.brief import Brief, Constraints
from experts.models import check
from experts.models.answers import PROPOSALS_MAX, proposals_shape
from experts.models.part import shown
from experts.proposal import Proposal
from experts.scene import Scene
from tests.experts.injection.corpus import ANSWERS, Hostile
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
