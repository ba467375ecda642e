"""resource.connections: a helper holds idle connections open to the process's port."""

from __future__ import annotations

import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from executor.drivers import local
from executor.drivers.targets import ProcessTarget, Resolved
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import child, consumed

if TYPE_CHECKING:
    from executor.model.faults.resource import Connections as Spec

_CONNECT_S = 1.0
_FILL_S = 5.0
"""After this long the fault counts as begun with what stands by then; the rest is tried further."""
_SPARE_DESCRIPTORS = 32


class Connections(held.Held):
    """As many as asked, or as the server lets in, and opened anew when it closes them; they say nothing."""

    kind = "resource.connections"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A port is needed, and enough descriptors for us."""
        assert isinstance(target, ProcessTarget)
        if target.port is None:
            return f"{target.instance} listens on no known port; name it in system.yaml."
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if most != resource.RLIM_INFINITY and fault.count + _SPARE_DESCRIPTORS > most:
            return f"this user may open {most} files, too few for {fault.count} connections; raise ulimit -n."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how many, and where. Raises ``UnavailableError`` if the very process does not listen there."""
        assert isinstance(target, ProcessTarget)
        return {"address": local.address(target), "port": target.port, "count": fault.count, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once its connections stand. Raises ``UnavailableError`` if none can be made."""
        arguments = [record["address"], str(record["port"]), str(record["count"])]
        return held.start("executor.faults.resource.connections", arguments, record, lease_s, ready_s=_FILL_S + 10)

    def tells(self, record: Record) -> str:
        """How many it holds now, of which the server may have taken some to be gone."""
        has = sum(consumed.sockets(pid, ticks) for pid, ticks in record.get("helpers", ()))
        return f"{record['count']:,} connections asked, {has:,} open"


def main() -> None:
    """The helper: connect and hold."""
    lease, (address, port, count) = child.lease(sys.argv[1:])
    child.raise_descriptor_limit()
    kept: list[socket.socket] = []
    _fill(kept, (address, int(port)), int(count), lease)
    if not kept:
        sys.exit("no connection could be made")
    child.ready()
    while lease.wait(1.0):
        kept = [connection for connection in kept if _open(connection)]
        _fill(kept, (address, int(port)), int(count), lease)


def _fill(kept: list[socket.socket], where: tuple[str, int], count: int, lease: child.Lease) -> None:
    """Connect until there are ``count``, the server refuses, or the time is up."""
    until = time.monotonic() + _FILL_S
    while len(kept) < count and time.monotonic() < until and lease.wait(0):
        try:
            kept.append(socket.create_connection(where, timeout=_CONNECT_S))
        except OSError:  # a full backlog or a refusal is what this fault is about
            return


def _open(connection: socket.socket) -> bool:
    """Whether the server still holds it; what it says is thrown away."""
    connection.setblocking(False)
    try:
        while said := connection.recv(65536):
            del said
    except BlockingIOError:
        return True
    except OSError:
        pass
    connection.close()
    return False


if __name__ == "__main__":
    main()
