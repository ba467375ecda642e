"""How HAProxy is made to balance wrongly: at its runtime socket, which changes nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.kernel import process
from executor.servers import haproxy

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import LoadBalancer as Spec

OUTLIVES_THE_PROCESS = False
"""What was set at run time goes with the process, unless its operator has it saved; that one is asked, then."""
Row = dict[str, Any]


def look(fault: Spec, target: ProcessTarget, control: str) -> dict[str, Any]:
    """Which servers, and how they are. Raises ``UnavailableError`` if it cannot be done there."""
    answering = haproxy.pid(control)
    if not (process.is_called(target.pid, answering) or process.has_child(target.pid, answering)):
        raise UnavailableError(f"leads to another HAProxy than process {target.pid}; nothing is done.", where=control)
    if haproxy.ask(control, "show cli level") != "admin":
        raise UnavailableError("does not let Murphy change anything; its socket needs `level admin`.", where=control)
    known = haproxy.servers(control)
    several = {name: servers for name, servers in known.items() if len(servers) > 1 or name == fault.backend}
    backend = fault.backend or (next(iter(several)) if len(several) == 1 else "")
    if backend not in known:
        why = f"has no backend {backend}" if backend else "does not have one backend of several servers; name which"
        raise UnavailableError(f"{why}; it has {', '.join(known) or 'none'}.", where=control)
    meant = {name: known[backend][name] for name in _meant(fault, list(known[backend]), control)}
    address, _, port = fault.upstream.rpartition(":")
    asked = {"how": fault.how, "weight": fault.weight, "address": address.strip("[]"), "port": int(port)}
    relative = haproxy.at_clients_port(target.pid) if fault.how == "wrong_upstream" else ()
    for name, row in meant.items():
        if row["admin"] & (haproxy.FORCED_MAINT | haproxy.INHERITED_MAINT) or _shows(row, asked):
            raise UnavailableError(f"{backend}/{name} is down or that way already.", where=control)
        if row["by_name"] and fault.how == "wrong_upstream":
            raise UnavailableError(
                f"{backend}/{name} has its address by a look-up, which would undo it.", where=control
            )
        if (not row["port"] or f"{backend}/{name}" in relative) and fault.how == "wrong_upstream":
            why = f"{backend}/{name} is reached by a socket or at its client's port, which could not be put back"
            raise UnavailableError(f"{why}; choose another.", where=control)
    if fault.how in ("member_down", "all_down", "drain"):
        _refuse_tracked(backend, meant, control)
    return {"backend": backend, "servers": meant, "asked": asked}


def _refuse_tracked(backend: str, meant: dict[str, Row], control: str) -> None:
    known, ours = haproxy.trackers(control), [f"{backend}/{name}" for name in meant]
    for name in ours:
        if beside := sorted(set(known.get(name, ())) - set(ours)):
            why = f"{', '.join(beside)} would go with {name}, which it tracks; choose another or its weight."
            raise UnavailableError(why, where=control)


def _meant(fault: Spec, names: list[str], control: str) -> list[str]:
    if fault.how == "all_down":
        return names
    name = fault.member or names[0]
    if name not in names:
        raise UnavailableError(f"has no server {name}; it has {', '.join(names)}.", where=control)
    return [name]


def prepare(_record: Record, _target: ProcessTarget, _context: Context) -> dict[str, Any]:
    """Nothing more is needed."""
    return {}


def put(record: Record) -> None:
    """Set the servers. Raises ``UnavailableError`` if HAProxy does not do it."""
    asked = record["asked"]
    command = {
        "weight": f"set weight {{}} {asked['weight']}",
        "wrong_upstream": f"set server {{}} addr {asked['address']} port {asked['port']}",
        "drain": "set server {} state drain",
    }.get(asked["how"], "set server {} state maint")
    _tell(record, {name: [command] for name in record["servers"]})
    if len(_faulted(record)) < len(record["servers"]):
        _set_back(record, list(record["servers"]))  # whatever it made of it, nobody else has
        raise UnavailableError("HAProxy did not do what it was told.", where=record["control"])


def shows(record: Record) -> bool:
    """Whether a server is as it was set. Raises ``UnavailableError`` if nobody answers."""
    return bool(_faulted(record))


def put_back(record: Record) -> None:
    """Set those servers back that still are as they were set; what others have changed since is theirs."""
    _set_back(record, _faulted(record))
    if _faulted(record):
        raise UnavailableError("HAProxy did not take back what it was told.", where=record["control"])


def _set_back(record: Record, names: list[str]) -> None:
    commands = {}
    for name in names:
        was = record["servers"][name]
        commands[name] = {
            "weight": [f"set weight {{}} {was['weight']}"],
            "wrong_upstream": [f"set server {{}} addr {was['address']} port {was['port']}"],
        }.get(record["asked"]["how"], ["set server {} state ready"])
        if record["asked"]["how"] in ("member_down", "all_down") and was["admin"] & haproxy.FORCED_DRAIN:
            commands[name] += ["set server {} state drain"]
    _tell(record, commands)


def _tell(record: Record, commands: dict[str, list[str]]) -> None:
    for name, lines in commands.items():
        for line in lines:
            said = haproxy.ask(record["control"], line.format(f"{record['backend']}/{name}"))
            if said and "changed from" not in said and "no need to change" not in said:
                raise UnavailableError(f"HAProxy says: {' '.join(said.split())}", where=record["control"])


def _faulted(record: Record) -> list[str]:
    there = haproxy.servers(record["control"]).get(record["backend"], {})
    return [name for name in record["servers"] if name in there and _shows(there[name], record["asked"])]


def _shows(row: Row, asked: Row) -> bool:
    if asked["how"] == "weight":
        return bool(row["weight"] == asked["weight"])
    if asked["how"] == "wrong_upstream":
        return haproxy.same(row["address"], asked["address"]) and bool(row["port"] == asked["port"])
    return bool(row["admin"] & (haproxy.FORCED_DRAIN if asked["how"] == "drain" else haproxy.FORCED_MAINT))
