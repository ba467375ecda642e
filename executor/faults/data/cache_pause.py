"""data.cache_pause: a helper has the cache hold its clients' commands, which Redis itself ends soon after."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import child, process
from executor.servers import redis_server

if TYPE_CHECKING:
    from executor.model.faults.data import CachePause as Spec

SLICE_MS = 500
"""What Redis is told at a time: a pause of everything can be ended by nobody, so each is short."""
_SOON_S, _AFTER_S = 0.2, 5.0
"""Time in which a server that holds nothing answers, and in which one does whose last pause ends by itself."""


class CachePause(held.Held):
    """Pause follows pause without a gap: the helper's next command is the first that waits for the end of the last.

    Killed or hung, the helper leaves at most two of them. Those who only read may go on, if only writes are held.
    """

    kind = "data.cache_pause"
    lease: LeaseKind = "server"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """A Redis that a dsn leads to, and that knows how to pause."""
        try:
            self._look(target)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is held. Raises ``UnavailableError`` as ``unsupported`` says."""
        self._look(target)
        assert isinstance(target, ProcessTarget)
        server = {"dsn": target.service.dsn, "pid": target.pid, "ticks": target.start_ticks}
        mode = {"all": "ALL", "writes": "WRITE"}[fault.what]
        return {**server, "mode": mode, "channel": context.mark, **held.record(context)}

    def _look(self, target: Resolved) -> None:
        assert isinstance(target, ProcessTarget)
        with redis_server.session_of(target) as client:
            version = str(client.info("server")["redis_version"])
        if tuple(map(int, version.split(".")[:2])) < (6, 2):
            raise UnavailableError(f"Redis {version} cannot pause writes; 6.2 can.", where=target.service.name)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once the first pause is in force."""
        return held.start("executor.faults.data.cache_pause", [record["dsn"], record["mode"]], record, lease_s)

    def ended(self, record: Record) -> bool:
        """Whether the server is gone, and the helper's connection with it."""
        return not process.alive(record["pid"], record["ticks"])

    def active(self, record: Record) -> bool | None:
        """Whether the server holds what it is to hold; one that is gone holds nothing."""
        if held.alive(record):
            return True
        if not process.alive(record["pid"], record["ticks"]):
            return False
        try:
            _ask(record, _SOON_S)
        except redis_server.SilentError:
            return True
        except UnavailableError:
            return None
        return False

    def revert(self, record: Record) -> None:
        """End the helper, and see the last pause end. Raises ``UnavailableError`` if the server holds on."""
        held.end(record)
        if process.alive(record["pid"], record["ticks"]):
            _ask(record, _AFTER_S)


def _ask(record: Record, within_s: float) -> None:
    """Say something that counts as writing, to nobody. Raises ``SilentError`` if it is held for so many seconds."""
    with redis_server.session(record["dsn"], answer_s=within_s) as client:
        client.publish(record["channel"], "")


def main() -> None:
    """The helper: pause, again and again, one pause ahead."""
    lease, (reference, mode) = child.lease(sys.argv[1:])
    with redis_server.session(reference) as client:
        line = client.connection
        pause = line.pack_command("CLIENT", "PAUSE", SLICE_MS, mode)
        line.send_packed_command([*pause, *pause])
        line.read_response()
        child.ready()
        while lease.wait(SLICE_MS / 2000):
            line.send_packed_command(pause)
            line.read_response()


if __name__ == "__main__":
    try:
        main()
    except UnavailableError as error:
        sys.exit(str(error))
