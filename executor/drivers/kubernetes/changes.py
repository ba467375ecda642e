"""Fields of a Kubernetes object changed for a time, with what undoes it on the object itself.

Change and stamp go in one patch, so there is never the one without the other; and the stamp alone suffices to undo it.
What somebody else has changed meanwhile is left as it is. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from executor.drivers.kubernetes import workloads
from executor.drivers.kubernetes.api import Api, Json
from executor.errors import UnavailableError

STAMP: Final = "murphy-chaos/faults"
"""Annotation on whatever we change: what each fault did to it, as JSON by the fault's mark."""
_SETTLES_S = 3.0
Field = Mapping[str, Any]
"""What happens to the value ``at`` a path: ``was`` becomes ``set`` (``None``: there is none), a list gets an ``item``
more, or a number becomes ``less``. Fields of the last two kinds stand beside those of other faults."""


def make(api: Api, path: str, uid: str, mark: str, fields: Sequence[Field], *, dry: bool = False) -> None:
    """Change the object of that uid, which still is as the fields say that it was. Idempotent; ``dry`` only asks.

    Raises ``UnavailableError`` if it is not so, or another fault holds one of the fields.
    """

    def edit(found: Json) -> Json | None:
        if found["metadata"]["uid"] != uid:
            raise UnavailableError("was made anew since it was looked at.", where=path)
        stamps = stamps_of(found)
        if mark in stamps:
            return None
        if other := next(_holders(stamps, fields), None):
            raise UnavailableError(f"another fault ({other}) holds it already.", where=path)
        done = [_done(field, found, path) for field in fields]
        patch: Json = {"metadata": {"annotations": {STAMP: json.dumps({**stamps, mark: done})}}}
        for field in done:
            _put(patch, field["at"], _made(field, found))
        return patch

    api.change(path, edit, dry=dry)


def undo(api: Api, path: str, mark: str) -> list[str]:
    """Put back what the fault changed; returns the fields that somebody else has changed since, which are left.

    Idempotent. Raises ``AbsentError`` if the object is gone, and its change with it.
    """
    left: list[str] = []

    def edit(found: Json) -> Json | None:
        left.clear()
        stamps = stamps_of(found)
        if mark not in stamps:
            return None
        patch: Json = {"metadata": {}}
        for field in stamps.pop(mark):
            value = _at(found, field["at"])
            if "item" in field:
                _put(patch, field["at"], [each for each in value or () if not _like(each, field["item"])] or None)
            elif value != _expected(field, stamps):
                left.append(".".join(field["at"]))
            else:
                _put(patch, field["at"], _restored(field, stamps))
        patch["metadata"].setdefault("annotations", {})[STAMP] = json.dumps(stamps) if stamps else None
        return patch

    api.change(path, edit)
    return left


def forget_copies(api: Api, path: str) -> None:
    """A deployment's stamp is copied to its replica sets by its controller, which never takes it away again."""
    if not workloads.wait(lambda: _settled(api.find(path)), _SETTLES_S) or (found := api.find(path)) is None:
        return
    now = (found["metadata"].get("annotations") or {}).get(STAMP)
    for copy in api.all(f"{path.rpartition('/deployments/')[0]}/replicasets"):
        owners = [owner["uid"] for owner in copy["metadata"].get("ownerReferences") or ()]
        if found["metadata"]["uid"] in owners and STAMP in (copy["metadata"].get("annotations") or {}):
            name = copy["metadata"]["name"]
            place = f"{path.rpartition('/deployments/')[0]}/replicasets/{name}"
            api.change(place, lambda _: {"metadata": {"annotations": {STAMP: now}}})


def _settled(deployment: Json | None) -> bool:
    """Whether its controller has seen it as it is."""
    if deployment is None:
        return True
    seen: int = (deployment.get("status") or {}).get("observedGeneration", 0)
    return seen >= int(deployment["metadata"].get("generation", 0))


def made(api: Api, path: str, mark: str) -> bool:
    """Whether the object shows the change."""
    found = api.find(path)
    if found is None or mark not in (stamps := stamps_of(found)):
        return False
    fields = stamps.pop(mark)
    return all(_shown(field, stamps, _at(found, field["at"])) for field in fields)


def stamps_of(found: Mapping[str, Any]) -> dict[str, list[Json]]:
    """What our faults did to an object, by mark."""
    stamps: dict[str, list[Json]] = json.loads((found["metadata"].get("annotations") or {}).get(STAMP) or "{}")
    return stamps


def _holders(stamps: Mapping[str, Sequence[Field]], fields: Sequence[Field]) -> Iterator[str]:
    """Marks of the faults beside which the fields cannot be changed."""
    alone = [field["at"] for field in fields if "set" in field]
    for mark, held in stamps.items():
        if any(each["at"] in alone for each in held):
            yield mark


def _done(field: Field, found: Json, path: str) -> Json:
    """The field as the stamp keeps it. Raises ``UnavailableError`` if it is not as it was."""
    value = _at(found, field["at"])
    if "less" in field:
        if value is None or value < field["less"]:
            raise UnavailableError(f"{'.'.join(field['at'])} is {value} and cannot become less.", where=path)
        return {**field, "now": value - field["less"]}
    if "set" in field and value != field["was"]:
        raise UnavailableError(f"{'.'.join(field['at'])} has changed since it was looked at.", where=path)
    return dict(field)


def _made(field: Field, found: Json) -> Any:
    if "item" in field:
        return [*(_at(found, field["at"]) or ()), field["item"]]
    return field["now"] if "less" in field else field["set"]


def _lowered(field: Field, stamps: Mapping[str, list[Json]]) -> list[Json]:
    """The same number's fields of other faults."""
    return [each for held in stamps.values() for each in held if each["at"] == field["at"] and "less" in each]


def _expected(field: Field, stamps: Mapping[str, list[Json]]) -> Any:
    """The value if nobody but us has changed it."""
    if "less" in field:
        return min([field["now"], *(each["now"] for each in _lowered(field, stamps))])
    return field["set"]


def _restored(field: Field, stamps: Mapping[str, list[Json]]) -> Any:
    """The value without the fault; those who lowered the same number after it are told."""
    if "less" not in field:
        return field["was"]
    value = _expected(field, stamps) + field["less"]
    for each in _lowered(field, stamps):
        if each["now"] < field["now"]:
            each["now"] += field["less"]
    return value


def _shown(field: Field, stamps: Mapping[str, list[Json]], value: Any) -> bool:
    if "item" in field:
        return any(_like(each, field["item"]) for each in value or ())
    return bool(value == _expected(field, stamps))


def _like(each: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether it is the item; the server may have added to it."""
    return all(each.get(name) == value for name, value in item.items())


def _at(found: Mapping[str, Any], at: Sequence[str]) -> Any:
    value: Any = found
    for name in at:
        value = (value or {}).get(name)
    return value


def _put(patch: Json, at: Sequence[str], value: Any) -> None:
    for name in at[:-1]:
        patch = patch.setdefault(name, {})
    patch[at[-1]] = value
