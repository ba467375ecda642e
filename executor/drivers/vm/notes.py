"""What is to be undone on a machine, noted in its QEMU, where a sweep finds it; gone with the machine.

An object of ours bears the note as its text. QEMU's ``secret`` is the one kind that holds any text and does nothing
else; there is nothing secret in it. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from executor.drivers.driver import Record
from executor.drivers.noted import Noted, holder
from executor.drivers.vm import qmp
from executor.errors import UnavailableError
from executor.kernel import process

_OBJECTS: Final = "/objects"
_PREFIX: Final = "murphy-"
_PAUSED: Final = "murphy-paused"
"""Name of the note where a fault has no mark: a machine is paused once at a time."""
_OTHERS: Final = ("/run/libvirt/", "/var/run/libvirt/", "/var/lib/libvirt/")
"""Sockets in there are held by libvirt, which serves no second client."""
Undo = Callable[[Record], None]


def put(opened: qmp.Session, record: Record, undo: str) -> None:
    """Note that a fault is about to be made. Raises ``UnavailableError`` if QEMU does not take it."""
    drop(opened, record)
    text = json.dumps({"undo": undo, "holder": holder(), "record": dict(record)}, allow_nan=False)
    kind, name = {"qom-type": "secret"}, _name(record)
    try:
        opened.ask("object-add", **kind, id=name, data=text)
    except UnavailableError:  # before version 6 of QEMU
        opened.ask("object-add", **kind, id=name, props={"data": text})


def there(opened: qmp.Session, record: Record) -> bool:
    """Whether a fault is noted."""
    return _name(record) in _names(opened)


def drop(opened: qmp.Session, record: Record) -> None:
    """Forget it. Idempotent."""
    if there(opened, record):
        opened.ask("object-del", id=_name(record))


def sockets() -> list[str]:
    """The sockets, not libvirt's, at which QEMUs of this machine take commands, as their arguments say."""
    lines = map(process.command_line, process.pids())
    found = {path for line in lines if line and "qemu" in Path(line[0]).name for path in _paths(line)}
    return sorted(path for path in found if path.startswith("/") and not path.startswith(_OTHERS))


def found(path: str, undoing: Mapping[str, Undo]) -> Iterator[Noted]:
    """All that one QEMU holds, of any home. ``undoing``: by what each is undone. Raises ``UnavailableError``."""
    with qmp.session(path) as opened:
        texts = [_text(opened, name) for name in _names(opened) if name.startswith(_PREFIX)]
    for text in texts:
        try:
            note = json.loads(text)
            record, undo = note["record"], undoing[note["undo"]]
            said = f"{note['undo']} of machine {record['instance']}"
        except (KeyError, ValueError, TypeError):
            continue  # none that this version makes
        yield Noted(said, str(note.get("holder", "")), partial(undo, record))


def _name(record: Record) -> str:
    return str(record.get("mark", _PAUSED))


def _names(opened: qmp.Session) -> list[str]:
    return [str(each["name"]) for each in opened.ask("qom-list", path=_OBJECTS)]


def _text(opened: qmp.Session, name: str) -> Any:
    try:
        return opened.ask("qom-get", path=f"{_OBJECTS}/{name}", property="data")
    except UnavailableError:  # an object of ours that is none of these
        return ""


def _paths(line: tuple[str, ...]) -> Iterator[str]:
    """Unix sockets in a QEMU's arguments: of ``-qmp``, and of each ``-chardev``, one of which ``-mon`` may name."""
    for flag, value in pairwise(line):
        if flag.lstrip("-") in ("qmp", "qmp-pretty") and value.startswith("unix:"):
            yield value.removeprefix("unix:").partition(",")[0]
        elif flag.lstrip("-") == "chardev" and value.startswith("socket,"):
            parts = dict(part.partition("=")[::2] for part in value.split(","))
            if any(f"chardev={parts.get('id')}" in other.split(",") and "control" in other for other in line):
                yield parts.get("path", "")
