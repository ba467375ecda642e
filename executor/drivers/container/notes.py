"""What is to be undone on a container, noted in its engine, where a sweep finds it. Standard library only at import.

A container takes no labels once it is made. So an empty volume of ours bears the note as its labels, for as long as
the fault is there: by what it is undone, and the record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from executor.clock import own_ticks
from executor.drivers.container.engine import NotThereError, engine
from executor.drivers.driver import Record
from executor.drivers.noted import Noted, holder
from executor.errors import UnavailableError

_UNDO: Final = "murphy.undo"
_CONTAINER: Final = "murphy.container"
_HOLDER: Final = "murphy.holder"
_RECORD: Final = "murphy.record"
Undo = Callable[[Record], None]


def possible(url: str) -> bool:
    """Whether the engine lets us look at its volumes: some that stand before an engine do not."""
    try:
        _volumes(url, _UNDO)
    except UnavailableError:
        return False
    return True


def put(record: Record, undo: str) -> None:
    """Note that a fault is about to be made. Idempotent. Raises ``UnavailableError`` if the engine does not take it."""
    if not record.get("noted"):
        return
    labels = {
        _UNDO: undo,
        _CONTAINER: record["container"],
        _HOLDER: holder(),
        _RECORD: json.dumps(dict(record), allow_nan=False),
    }
    name = f"murphy-{undo}-{record['container'][:12]}-{os.getpid()}-{own_ticks()}"
    with engine(record["engine"]) as client:
        client.create_volume(name=name, labels=labels)


def drop(record: Record, undo: str) -> None:
    """Forget it. Idempotent. Raises ``UnavailableError`` if the engine does not answer."""
    if not record.get("noted"):
        return
    for volume in _volumes(record["engine"], f"{_CONTAINER}={record['container']}"):
        if volume["Labels"].get(_UNDO) == undo:
            _remove(record["engine"], volume["Name"])


def found(url: str, undoing: Mapping[str, Undo]) -> Iterator[Noted]:
    """All that an engine holds, of any home. ``undoing``: by what each is undone. Raises ``UnavailableError``."""
    for volume in _volumes(url, _UNDO):
        labels = volume["Labels"]
        try:
            record = {**json.loads(labels[_RECORD]), "engine": url}  # it may be reached by another way from here
            undo = undoing[labels[_UNDO]]
            text = f"{labels[_UNDO]} of container {record['name']}"
        except (KeyError, ValueError, TypeError):
            continue  # none that this version makes
        yield Noted(text, labels.get(_HOLDER, ""), partial(_undo, undo, record, volume["Name"]))


def _undo(undo: Undo, record: Record, volume: str) -> None:
    undo(record)
    _remove(record["engine"], volume)


def _volumes(url: str, label: str) -> list[dict[str, Any]]:
    with engine(url) as client:
        volumes: list[dict[str, Any]] = client.volumes(filters={"label": [label]})["Volumes"] or []
        return volumes


def _remove(url: str, name: str) -> None:
    try:
        with engine(url) as client:
            client.remove_volume(name)
    except NotThereError:  # somebody else has undone it at the same moment
        return
