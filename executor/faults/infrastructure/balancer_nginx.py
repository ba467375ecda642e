"""How nginx is made to balance wrongly: in its file of settings, which it reads again on SIGHUP."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.faults.infrastructure import edited
from executor.kernel import process
from executor.servers import nginx, reload

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import LoadBalancer as Spec

OUTLIVES_THE_PROCESS = True
_TAKES_S = 8.0
"""How long it may take until workers with the new settings run."""


def look(fault: Spec, target: ProcessTarget, control: str) -> dict[str, Any]:
    """Which servers of which upstream. Raises ``UnavailableError`` if it cannot be done there."""
    if fault.how == "drain":
        raise UnavailableError("this nginx knows no drain; member_down lets requests under way come to their end.")
    edited.require_seen(control, target.pid)
    if why := reload.impossible(target, "HUP"):
        raise UnavailableError(why, where=target.instance)
    if not _workers(target.pid):
        raise UnavailableError(f"process {target.pid} has no workers, so it is no nginx.", where=target.instance)
    asked = {"how": fault.how, "weight": fault.weight, "upstream": fault.upstream, "backend": fault.backend}
    edited.look(control, _change({**asked, "member": fault.member}))
    return {"asked": {**asked, "member": fault.member}}


def prepare(record: Record, target: ProcessTarget, context: Context) -> dict[str, Any]:
    """Keep the file as it is."""
    kept = edited.prepare(record["control"], _change(record["asked"]), context)
    return {**kept, **reload.record(target, "HUP", ())}


def put(record: Record) -> None:
    """Change the file and see it taken. Raises ``UnavailableError`` if it is no longer as it was, or nginx refuses."""
    edited.put(record, _change(record["asked"]))
    _read(record)


def shows(record: Record) -> bool | None:
    """Whether the file has the fault, or was put back and not read again yet."""
    return edited.active(record, _change(record["asked"]))


def put_back(record: Record) -> None:
    """Put the file back and see it taken. Raises ``UnavailableError`` if somebody else has changed it too."""
    if edited.put_back(record, _change(record["asked"])):
        _read(record)
    edited.tidy(record)


def _change(asked: Record) -> edited.Change:
    return functools.partial(_changed, asked=asked)


def _changed(text: str, asked: Record) -> str:
    """The text with the fault; as it is if it has it already."""
    known = nginx.upstreams(text)
    backend = asked["backend"] or (next(iter(known)) if len(known) == 1 else "")
    if not known.get(backend):
        why = f"has no upstream {backend}" if backend else "does not have one upstream; name which"
        raise UnavailableError(f"{why} with servers; it has {', '.join(known) or 'none'}.")
    servers = known[backend]
    if asked["how"] == "all_down":
        return nginx.without_traffic(text, servers)
    names = [server.address.text for server in servers]
    if asked["how"] == "wrong_upstream" and asked["upstream"] in names:
        return text
    if asked["member"] and asked["member"] not in names:
        raise UnavailableError(f"has no server {asked['member']} in {backend}; it has {', '.join(names)}.")
    meant = servers[names.index(asked["member"]) if asked["member"] else 0]
    if asked["how"] == "wrong_upstream":
        return nginx.led(text, meant, asked["upstream"])
    if len(servers) < 2:  # nothing goes anywhere else by its weight, or without it
        raise UnavailableError(f"has {names[0]} alone in {backend}; choose all_down.")
    return (
        nginx.weighted(text, meant, asked["weight"])
        if asked["how"] == "weight"
        else nginx.without_traffic(text, [meant])
    )


def _read(record: Record) -> None:
    """Have it read the file, and see workers come that have: it keeps the old ones if it finds the file wrong."""
    old = {worker for pid, _ in reload.running(record) for worker in _workers(pid)}
    for pid, ticks in reload.again(record):
        until = time.monotonic() + _TAKES_S
        while process.alive(pid, ticks) and not _workers(pid) - old:
            if time.monotonic() >= until:
                hint = "See its error log; nginx -t says what is wrong with its files."
                raise UnavailableError("nginx does not take the file.", where=record["file"], hint=hint)
            time.sleep(0.02)


def _workers(pid: int) -> set[tuple[int, int | None]]:
    return {(child, start_ticks(child)) for child in process.pids() if process.parent(child) == pid}
