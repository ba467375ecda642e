"""What can be taken from a virtual machine under QEMU without asking its guest: the cables of its cards, and its disks.

QEMU does not tell whether a card's cable is in. So our note in QEMU itself stands for it: made before the first
cable is pulled and removed after the last is in again, and gone with the machine, whose cables are in then.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

from executor.drivers.driver import Part, Record
from executor.drivers.vm import notes
from executor.drivers.vm.qmp import Session
from executor.errors import UnavailableError

_DEVICES: Final = "/machine/peripheral"
_UNPLUGS_WITHIN_S = 5.0
_CARD = re.compile(r"^(\S+): index=0,type=nic,", re.MULTILINE)


def image(opened: Session, part: Part, device: str) -> dict[str, Any]:
    """Which cards or disk, and how the disk is. Raises ``UnavailableError`` if there is none that will do."""
    if part == "disk":
        return _disk(opened, device)
    cards = _CARD.findall(opened.ask("human-monitor-command", **{"command-line": "info network"}))
    if not cards:
        raise UnavailableError("the machine has no network card; choose another fault.")
    return {"cards": cards if part == "network" else [_named("network card", cards, device)]}


def remove(opened: Session, record: Record) -> None:
    """Pull it out. Raises ``UnavailableError`` if QEMU does not say that it is out."""
    notes.put(opened, record, "removal")
    if record["part"] == "disk":
        opened.ask("device_del", id=record["disk"])
        if not opened.event("DEVICE_DELETED", _UNPLUGS_WITHIN_S, device=record["disk"]):
            raise UnavailableError(f"the guest does not let {record['disk']} go.", where=record["instance"])
        return
    for card in record["cards"]:
        opened.ask("set_link", name=card, up=False)


def removed(opened: Session, record: Record) -> bool:
    """Whether it is out."""
    if record["part"] == "disk":
        return record["disk"] not in _names(opened, _DEVICES)
    return notes.there(opened, record)


def put_back(opened: Session, record: Record) -> None:
    """Put it in again. Idempotent."""
    if removed(opened, record):
        if record["part"] == "disk":
            opened.ask("device_add", **record["properties"])
        for card in record.get("cards", ()):
            with suppress(UnavailableError):  # a card that was taken out meanwhile
                opened.ask("set_link", name=card, up=True)
    notes.drop(opened, record)


def _disk(opened: Session, device: str) -> dict[str, Any]:
    """How a SCSI disk was plugged in: from such a one no guest is asked to part, and so it can be gone at once."""
    mine = set(_names(opened, _DEVICES))
    disks = [each["qdev"] for each in opened.ask("query-block") if each.get("qdev") in mine and not each["device"]]
    kinds = {disk: _value(opened, disk, "type") for disk in disks}
    disk = _named("SCSI disk (with an id, on a -blockdev)", [d for d in disks if _scsi(kinds[d])], device, only=False)
    bus = str(_value(opened, disk, "parent_bus")).rpartition("/")[2]
    properties = {"driver": kinds[disk], "id": disk, "bus": bus}
    for each in opened.ask("device-list-properties", typename=kinds[disk]):
        value = _value(opened, disk, each["name"])
        if value != each.get("default-value"):
            properties[each["name"]] = value
    return {"disk": disk, "properties": properties}


def _scsi(kind: str) -> bool:
    return kind in ("scsi-hd", "scsi-block")


def _value(opened: Session, device: str, name: str) -> Any:
    return opened.ask("qom-get", path=f"{_DEVICES}/{device}", property=name)


def _names(opened: Session, path: str) -> list[str]:
    return [str(each["name"]) for each in opened.ask("qom-list", path=path)]


def _named(what: str, there: list[str], device: str, *, only: bool = True) -> str:
    """The one that is meant. Raises ``UnavailableError`` that lists those there are.

    ``only``: it need not be named if there is one; but the only disk may be the guest's root, which it cannot lose.
    """
    if device in there or (only and not device and len(there) == 1):
        return device or there[0]
    if not there:
        raise UnavailableError(f"the machine has no {what}; choose another fault.")
    raise UnavailableError(f"name one {what} as device: {', '.join(sorted(there))}.")
