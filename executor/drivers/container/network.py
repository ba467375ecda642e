"""The networks that a container is in: left, and joined again as it was in them. Standard library only at import."""

from __future__ import annotations

from typing import Any, Final

from executor.drivers.container import notes
from executor.drivers.container.engine import NotThereError, engine, inspected, is_podman
from executor.drivers.container.state import Seen, asking, changing, of_then, settle
from executor.drivers.driver import Record
from executor.drivers.targets import Contained
from executor.errors import UnavailableError

_NONE_OF_ITS_OWN: Final = ("host", "none", "container")
_DEFAULT: Final = "bridge"
"""Networks but this one know their containers by name, and give them the address that they ask for."""


def refusal(target: Contained, network: str) -> str | None:
    """Why a container cannot be cut off from a network (empty: from all), in one sentence; ``None`` if it can."""
    try:
        seen, podman = of_then(target), is_podman(target.engine)
    except UnavailableError as error:
        return str(error)
    name = seen["Name"].removeprefix("/")
    mode = seen["HostConfig"]["NetworkMode"].partition(":")[0]
    if mode in _NONE_OF_ITS_OWN:
        return f"container {name} has no network of its own (it runs with --network {mode}); choose another fault."
    known = sorted(seen["NetworkSettings"]["Networks"])
    if not known:
        return f"container {name} is in no network already; choose another fault."
    if network and network not in known:
        return f"container {name} is not in network {network}; it is in {', '.join(known)}."
    if podman:
        return (
            f"Podman does not tell which address container {name} asked for, to ask for it again; choose another fault."
        )
    return changing(target.instance, seen)


def joined(seen: Seen, network: str) -> list[dict[str, Any]]:
    """What is needed to join the networks again (empty: all) as a container is in them now."""
    return [
        {
            "name": name,
            "network": one["NetworkID"],
            "aliases": [alias for alias in one["Aliases"] or () if name != _DEFAULT and alias != seen["Id"][:12]],
            "links": [link.split(":", 1) for link in one["Links"] or ()],
            "ipv4_address": (one["IPAMConfig"] or {}).get("IPv4Address"),
            "ipv6_address": (one["IPAMConfig"] or {}).get("IPv6Address"),
            "driver_opt": one["DriverOpts"],
        }
        for name, one in sorted(seen["NetworkSettings"]["Networks"].items())
        if network in ("", name)
    ]


def leave(record: Record) -> None:
    """Leave the record's ``networks``. Raises ``UnavailableError`` if the container is gone, or the engine will not."""
    with asking(record) as client:
        notes.put(record, "disconnection")
        for one in record["networks"]:
            client.disconnect_container_from_network(record["container"], one["network"])


def left(record: Record) -> bool | None:
    """Whether it is out of any of them; one that is gone is not. ``None``: cannot tell."""
    try:
        return bool(_missing(record))
    except UnavailableError:
        return None


def join(record: Record) -> None:
    """Join again those that it is not in. Idempotent, also when it, or a network, is gone."""
    settle(record, lambda: len(_missing(record)) == len(record["networks"]))
    for one in _missing(record):
        how = {name: value or None for name, value in one.items() if name not in ("name", "network")}
        with engine(record["engine"]) as client:
            client.connect_container_to_network(record["container"], one["network"], **how)
    notes.drop(record, "disconnection")


def _missing(record: Record) -> list[dict[str, Any]]:
    """Those of the record's networks that are still there, and the container not in them."""
    seen = inspected(record["engine"], record["container"])
    if seen is None:
        return []
    now = seen["NetworkSettings"]["Networks"]  # of a container that does not run the engine tells no network's id
    return [one for one in record["networks"] if one["name"] not in now and _is_there(record, one["network"])]


def _is_there(record: Record, network: str) -> bool:
    try:
        with engine(record["engine"]) as client:
            client.inspect_network(network)
    except NotThereError:
        return False
    return True
