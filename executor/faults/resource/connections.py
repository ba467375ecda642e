"""resource.connections: a helper holds idle connections open to the process's port."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from executor.drivers import child
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, ProcessTarget, Record, Resolved

if TYPE_CHECKING:
    from executor.model.faults.resource import Connections as Spec

_CONNECT_S = 1.0
_SPARE_DESCRIPTORS = 32


class Connections:
    """As many as asked, or as the server lets in; the server sees clients that say nothing."""

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
        """Record how many, and where."""
        assert isinstance(target, ProcessTarget)
        return {"port": target.port, "count": fault.count, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once its connections stand."""
        arguments = [str(record["port"]), str(record["count"])]
        return held.start("executor.faults.resource.connections", arguments, record, lease_s)

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helper's deadline on."""
        held.renew(record, lease_s)

    def active(self, record: Record) -> bool:
        """Whether the helper lives."""
        return held.alive(record)

    def revert(self, record: Record) -> None:
        """End the helper; its connections close with it."""
        held.end(record)


def main() -> None:
    """The helper: connect and hold."""
    lease, (port, count) = child.lease(sys.argv[1:])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept: list[socket.socket] = []
    for _ in range(int(count)):
        if lease.left_s() <= 0:
            return
        with suppress(OSError):  # a full backlog or a refusal is what this fault is about
            kept.append(socket.create_connection(("127.0.0.1", int(port)), timeout=_CONNECT_S))
    child.ready()
    while lease.wait(1.0):
        pass


if __name__ == "__main__":
    main()
