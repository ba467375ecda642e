"""A model's answer held against the system and the contract, item by item, as if nothing had checked it before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from executor.model.faults import SPECS, Fault
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.vocabulary import Weakness
from experts.allowed import place_wanted, why_not
from experts.models.answers import PROPOSALS_MAX, Closed
from experts.models.named import unnamed
from experts.models.saying import plain
from experts.proposal import Critique, Proposal
from experts.scene import Scene

T = TypeVar("T")
ITEMS_MAX = 200
"""Of one answer; more are not looked at."""
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_FAULT: TypeAdapter[Any] = TypeAdapter(Fault)
_TARGET_KINDS = {spec.named(): spec.target_kind for spec in SPECS}


@dataclass(frozen=True)
class Checked(Generic[T]):
    """What was good in an answer, and what was wrong with the rest."""

    good: list[T]
    errors: list[str]


def check(text: str, shape: type[Closed], make: Callable[[Mapping[str, Any]], T]) -> Checked[T]:
    """Parse ``text``, hold each item of its one list against ``shape``, and make the item's value.

    ``make`` raises ``ValueError`` for an item that cannot be used.
    """
    (field,) = shape.model_fields
    try:
        data = json.loads(bare(text))
    except ValueError as error:
        return Checked([], [f"the answer is not JSON: {error}"])
    except RecursionError:
        return Checked([], ["the answer is nested too deeply"])
    if not isinstance(data, dict) or set(data) != {field} or not isinstance(data[field], list):
        return Checked([], [f"the answer must be an object with the one key {field}, a list"])
    good: list[T] = []
    errors: list[str] = []
    if len(data[field]) > ITEMS_MAX:
        errors.append(f"the answer has {len(data[field])} items, and {ITEMS_MAX} are the most")
    for number, raw in enumerate(data[field][:ITEMS_MAX]):
        where = f"{field}[{number}]"
        try:
            item = getattr(shape.model_validate({field: [raw]}), field)[0]
            good.append(make(item.model_dump()))
        except ValidationError as error:
            errors.append(f"{where}: {_first(error)}")
        except ValueError as error:
            errors.append(f"{where}: {error}")
    return Checked(good, errors)


def bare(text: str) -> str:
    """The JSON alone, where a model that no schema binds has put its thoughts before it, or a fence around it."""
    found = _THOUGHTS.sub("", text, count=1).strip()
    fenced = _FENCED.fullmatch(found)
    return fenced[1] if fenced else found


def proposal(item: Mapping[str, Any], expert: str, source: str, scene: Scene) -> Proposal:
    """The proposal an item means. Raises ``ValueError`` in words if the fault, place or target does not hold up."""
    place, weakness = item["place"], Weakness(item["weakness"])
    view, wanted = scene.view, scene.brief.constraints.weaknesses
    if view.service(place) is None and view.edge(place) is None:
        raise ValueError(f"the system has no place {place}")
    if not place_wanted(place, scene.brief):
        raise ValueError(f"{place} was not asked about")
    if wanted and weakness not in wanted:
        raise ValueError(f"{weakness.value} was not asked about")
    fault = _fault(item)
    target = _target(item["target"], str(item["fault"]))
    refused = why_not(fault, target, scene.brief, view) or unnamed(fault, target, view)
    if refused:
        raise ValueError(refused)
    return Proposal(
        expert=expert,
        weakness=weakness,
        place=place,
        fault=fault,
        target=target,
        probability=item["probability"],
        rationale=plain(item["rationale"]),
        remedy=plain(item["remedy"]),
        source=source,
    )


def critique(item: Mapping[str, Any], expert: str, *, may_veto: bool) -> Critique:
    """The critique an item means; a veto counts only from who may give one."""
    return Critique(
        expert=expert,
        proposal=item["proposal"],
        probability=item["probability"],
        concern=plain(item["concern"]),
        veto=bool(item["veto"]) and may_veto,
    )


def once(proposals: list[Proposal], key: Callable[[Proposal], str]) -> list[Proposal]:
    """The first of each key, at most as many as one expert may propose."""
    first: dict[str, Proposal] = {}
    for one in proposals:
        first.setdefault(key(one), one)
    return list(first.values())[:PROPOSALS_MAX]


def _fault(item: Mapping[str, Any]) -> Any:
    names = [parameter["name"] for parameter in item["parameters"]]
    if len(names) != len(set(names)) or "kind" in names:
        raise ValueError("each parameter may be given once, and kind is not one of them")
    given = {parameter["name"]: parameter["value"] for parameter in item["parameters"]}
    if item["fault"] == "infrastructure.config" and "value" in given:
        given["value"] = _number(given["value"])
    try:
        return _FAULT.validate_python({"kind": item["fault"], **given})
    except ValidationError as error:
        raise ValueError(f"{item['fault']}: {_first(error)}") from None


def _number(text: str) -> Any:
    """What a value in a file of settings means: a number or a truth where it is one, as every answer comes as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _target(name: str, kind: str) -> Target:
    caller, arrow, callee = name.partition("->")
    wants = _TARGET_KINDS.get(kind)
    if wants == "edge" and arrow:
        return EdgeTarget(caller=caller, callee=callee)
    if wants == "groups" and arrow:
        return GroupsTarget(a=(caller,), b=(callee,))
    if wants == "instances" and not arrow:
        return InstanceTarget(service=name)
    raise ValueError(f"{kind} takes {'a service' if wants == 'instances' else 'an edge, caller->callee'}, not {name}")


def _first(error: ValidationError) -> str:
    one = error.errors()[0]
    path = ".".join(str(part) for part in one["loc"])
    if one["type"] == "literal_error":  # what is allowed is a long list, and stands in the schema
        return f"{path}: {str(one['input'])[:60]!r} is none of those allowed"
    return f"{path}: {one['msg']}" if path else one["msg"]
