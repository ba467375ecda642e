"""What can be taken from a machine of libvirt's without asking its guest: the links of its cards, and its SCSI disks.

Only the running machine is changed, never its definition: one that is started anew has it all.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from executor.drivers.driver import Part, Record
from executor.drivers.libvirt import virsh
from executor.drivers.libvirt.virsh import Element
from executor.errors import UnavailableError

_UNPLUGS_WITHIN_S: Final = 5.0


def image(place: Record, part: Part, device: str) -> dict[str, Any]:
    """Which cards or disk, and how they are. Raises ``UnavailableError`` if there is none that will do."""
    machine = virsh.described(place)
    if part == "disk":
        disk = _named("SCSI disk", _disks(machine), device, only=False)
        return {"disk": _target(disk), "xml": _whole(place, disk)}
    cards = _cards(machine)
    if not cards:
        raise UnavailableError("the machine has no network card; choose another fault.")
    chosen = list(cards.values()) if part == "network" else [_named("network card", cards, device)]
    linked = [[_mac(card), _link(card)] for card in chosen if _link(card) != "down"]
    if not linked:
        raise UnavailableError("the machine has no link there already; choose another fault or device.")
    return {"cards": linked}


def remove(record: Record) -> None:
    """Take it. Raises ``UnavailableError`` if libvirt does not say that it is gone."""
    if record["part"] == "disk":
        virsh.alter(record, "detach-device", record["xml"])
        until = time.monotonic() + _UNPLUGS_WITHIN_S
        while not removed(record):
            if time.monotonic() > until:
                raise UnavailableError(f"the guest does not let {record['disk']} go.", where=record["instance"])
            time.sleep(0.1)
        return
    for mac, _ in record["cards"]:
        _set_link(record, mac, "down")


def removed(record: Record) -> bool:
    """Whether it is away."""
    machine = virsh.described(record)
    if record["part"] == "disk":
        return record["disk"] not in map(_target, machine.iterfind("devices/disk"))
    cards = _cards(machine)
    return any(mac in cards and _link(cards[mac]) == "down" for mac, _ in record["cards"])


def put_back(record: Record) -> None:
    """As it was. Idempotent."""
    if record["part"] == "disk":
        if removed(record):
            virsh.alter(record, "attach-device", record["xml"])
        return
    for mac, link in record["cards"]:
        _set_link(record, mac, link)


def _set_link(record: Record, mac: str, link: str) -> None:
    """Have a card say so; nothing if it says so, or was taken out meanwhile."""
    card = _cards(virsh.described(record)).get(mac)
    if card is None or _link(card) == link:
        return
    for said in card.findall("link"):
        card.remove(said)
    if link:
        card.append(Element("link", {"state": link}))
    virsh.alter(record, "update-device", card)


def _cards(machine: Element) -> dict[str, Element]:
    """By their addresses, which no two of a machine share."""
    return {_mac(card): card for card in machine.iterfind("devices/interface")}


def _disks(machine: Element) -> dict[str, Element]:
    """Those that go at once: of any other kind, the guest is asked, and may let it go much later."""
    disks = [disk for disk in machine.iterfind("devices/disk") if disk.get("device", "disk") in ("disk", "lun")]
    return {_target(disk): disk for disk in disks if disk.find("target[@bus='scsi']") is not None}


def _mac(card: Element) -> str:
    return _attribute(card, "mac", "address")


def _link(card: Element) -> str:
    """``up`` or ``down``; empty: none is said, which is up."""
    return _attribute(card, "link", "state")


def _target(device: Element) -> str:
    return _attribute(device, "target", "dev")


def _attribute(device: Element, child: str, name: str) -> str:
    found = device.find(child)
    return "" if found is None else found.get(name, "")


def _whole(place: Record, disk: Element) -> str:
    """The disk as it is to be put back. Raises ``UnavailableError`` if it holds a secret, which is not written down."""
    text = virsh.written(disk)
    secure = _disks(virsh.described(place, "--security-info"))
    if virsh.written(secure[_target(disk)]) != text:
        raise UnavailableError(f"{_target(disk)} is described with a secret, which Murphy does not keep.")
    return text


def _named(what: str, there: dict[str, Element], device: str, *, only: bool = True) -> Element:
    """The one that is meant. Raises ``UnavailableError`` that lists those there are.

    ``only``: it need not be named if there is one; but the only disk may be the guest's root, which it cannot lose.
    """
    with suppress(StopIteration):
        return next(each for name, each in there.items() if device in _names(name, each))
    if only and not device and len(there) == 1:
        return next(iter(there.values()))
    if not there:
        raise UnavailableError(f"the machine has no {what}; choose another fault.")
    raise UnavailableError(f"name one {what} as device: {', '.join(sorted(there))}.")


def _names(name: str, device: Element) -> set[str]:
    """All that libvirt calls it."""
    return {name, _target(device), _attribute(device, "alias", "name")} - {""}
