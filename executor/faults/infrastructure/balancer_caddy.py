"""How Caddy is made to balance wrongly: at its admin API, one part of one handler."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.kernel import process
from executor.servers import caddy, served

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import LoadBalancer as Spec

OUTLIVES_THE_PROCESS = True
"""Caddy saves what it is told, and one that is started with ``--resume`` goes on with it."""
_PART = {"weight": "load_balancing"}
"""What of a handler is changed; else its upstreams."""


def look(fault: Spec, target: ProcessTarget, control: str) -> dict[str, Any]:
    """Which handler, and how it is. Raises ``UnavailableError`` if it cannot be done there."""
    host, port = caddy.address(control)
    served.require(target, host, port, where=control)
    if fault.how == "drain":
        raise UnavailableError("Caddy knows no drain; member_down lets requests under way come to their end.")
    path, handler = _handler(fault, control)
    if " " in path:
        why = "has a space in the name of its server, and Caddy changes nothing there only if it is as it was"
        raise UnavailableError(f"{why}; call it otherwise.", where=path)
    dials = [upstream.get("dial") for upstream in handler["upstreams"]]
    if fault.member and fault.member not in dials:
        raise UnavailableError(f"has no upstream {fault.member}; it has {', '.join(dials)}.", where=control)
    if len(dials) < 2 and fault.how in ("member_down", "weight"):
        raise UnavailableError(f"{dials[0]} is its only upstream; choose all_down.", where=control)
    part = _PART.get(fault.how, "upstreams")
    was, put = handler.get(part), _put(fault, handler, dials.index(fault.member or dials[0]))
    if was == put:
        raise UnavailableError("is that way already, so nothing would change.", where=control)
    resumes = "--resume" in process.command_line(target.pid)
    found = {"path": path, "part": part, "was": was, "put": put, "rest": _rest(handler, part)}
    if _alike(found, caddy.get(control).content):
        found["rest"] = None  # one that is as ours will be would be taken for ours
    return {**found, "resumes": resumes}


def _handler(fault: Spec, control: str) -> tuple[str, dict[str, Any]]:
    """The one meant: by its ``@id`` or its server's name, or the only one that there is."""
    known = [(path, one) for path, one in caddy.proxies(caddy.get(control).content) if one.get("upstreams")]
    named = [(path, one) for path, one in known if fault.backend in (one.get("@id"), *path.split("/"))]
    found = named if fault.backend else known
    if len(found) != 1:
        places = ", ".join(one.get("@id") or path for path, one in known) or "none"
        why = f"{len(found)} handlers with upstreams fit {fault.backend or 'it'}, and one should"
        raise UnavailableError(f"{why}; it has {places}.", where=control)
    return found[0]


def _put(fault: Spec, handler: dict[str, Any], meant: int) -> Any:
    """What the part is to be."""
    upstreams = handler["upstreams"]
    if fault.how == "weight":
        weights = [fault.weight if number == meant else 1 for number in range(len(upstreams))]
        policy = {"policy": "weighted_round_robin", "weights": weights}
        return {**(handler.get("load_balancing") or {}), "selection_policy": policy}
    if fault.how == "wrong_upstream":
        return [{**one, "dial": fault.upstream} if number == meant else one for number, one in enumerate(upstreams)]
    return [one for number, one in enumerate(upstreams) if number != meant] if fault.how == "member_down" else []


def prepare(_record: Record, _target: ProcessTarget, _context: Context) -> dict[str, Any]:
    """Nothing more is needed."""
    return {}


def put(record: Record) -> None:
    """Change the handler. Raises ``UnavailableError`` if it is not as it was, or Caddy does not take it."""
    answer = caddy.get(record["control"], record["path"])
    if not isinstance(answer.content, dict) or answer.content.get(record["part"]) != record["was"]:
        raise UnavailableError("was changed by somebody since it was looked at; nothing is done.", where=record["path"])
    caddy.replace(record["control"], record["path"], {**answer.content, record["part"]: record["put"]}, answer.etag)


def shows(record: Record) -> bool:
    """Whether the handler is as it was set. Raises ``UnavailableError`` if nobody answers."""
    return _now(record) is not None


def put_back(record: Record) -> None:
    """Put the part back if it still is as it was set; what others have changed since is theirs."""
    answer = _now(record)
    if answer:
        handler = {name: part for name, part in answer.content.items() if name != record["part"]}
        if record["was"] is not None:
            handler[record["part"]] = record["was"]
        caddy.replace(record["control"], answer.path, handler, answer.etag)


def _now(record: Record) -> caddy.Answer | None:
    """The handler, if it has the fault: where it was, or where it is since others have put one before it."""
    config = caddy.get(record["control"]).content
    known = dict(caddy.proxies(config))
    moved = _alike(record, config)
    path = record["path"] if record["path"] in moved or len(moved) != 1 else moved[0]
    if not _put_there(record, known.get(path)):
        return None
    answer = caddy.get(record["control"], path)
    return answer if _put_there(record, answer.content) else None


def _put_there(record: Record, handler: Any) -> bool:
    part = record["part"]
    return isinstance(handler, dict) and part in handler and handler[part] == record["put"]


def _alike(record: Record, config: Any) -> list[str]:
    """Paths of the handlers that have the fault and are in all else as ours was; none if that tells nothing."""
    known = ((path, handler) for path, handler in caddy.proxies(config) if _put_there(record, handler))
    return [path for path, handler in known if _rest(handler, record["part"]) == record.get("rest")]


def _rest(handler: dict[str, Any], part: str) -> str:
    """Tells a handler apart by all but that part, without keeping it: it may hold secrets."""
    rest = {name: content for name, content in handler.items() if name != part}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
