"""Label and field selectors."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
_SET = re.compile(r"^(\S+) (in|notin) \(([^)]*)\)$")


def labelled(found: Json, text: str) -> bool:
    """Whether it has the labels that a query asks for."""
    labels = found["metadata"].get("labels") or {}
    return all(_one(labels, part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip())


def _one(labels: dict[str, str], part: str) -> bool:
    if match := _SET.match(part):
        name, how, values = match.groups()
        return (labels.get(name) in values.replace(" ", "").split(",")) == (how == "in")
    if "!=" in part:
        name, _, value = part.partition("!=")
        return labels.get(name) != value
    if "=" in part:
        name, _, value = part.replace("==", "=").partition("=")
        return labels.get(name) == value
    return part[1:] not in labels if part.startswith("!") else part in labels


def fielded(found: Json, text: str) -> bool:
    """Whether its fields are as a query asks."""
    for part in filter(None, text.split(",")):
        path, _, wanted = part.partition("=")
        value: Any = found
        for name in path.split("."):
            value = (value or {}).get(name)
        if str(value or "") != wanted:
            return False
    return True


def chosen(found: Json, selector: Json) -> bool:
    """Whether a ``LabelSelector`` chooses it; an empty one chooses all."""
    labels = found["metadata"].get("labels") or {}
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        name, how, values = each["key"], each["operator"], each.get("values") or ()
        holds = {
            "In": labels.get(name) in values,
            "NotIn": labels.get(name) not in values,
            "Exists": name in labels,
            "DoesNotExist": name not in labels,
        }
        if not holds[how]:
            return False
    return True
