"""The driver of local processes: they are stopped and ended by signals, and started again as they ran.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

from executor.clock import start_ticks
from executor.drivers import beside, ending, restart
from executor.drivers.driver import Record, RestartBy
from executor.drivers.targets import ContainerTarget, ProcessTarget, ResolvedInstance
from executor.errors import UnavailableError
from executor.kernel import locate, netns, process, sockets

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import ProcessInstance, Service
    from executor.model.vocabulary import Scope


class Local:
    """A process and its workers are one instance."""

    name = "process"
    noun = "a process"

    def find(self, service: Service, instance: ProcessInstance) -> ProcessTarget:
        """The process it means right now. Raises ``UnavailableError`` if there is none, or more than one."""
        found = locate.find(instance)
        return ProcessTarget(service, instance.id, found.pid, found.start_ticks, instance.port, instance.command)

    def beside(
        self, target: ProcessTarget, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]
    ) -> beside.Beside:
        """As this machine shows it. Raises ``UnavailableError`` if it cannot be told."""
        return beside.here(target, scope, fault, others)

    def unfreezable(self, target: ProcessTarget) -> str | None:
        """It must be ours to signal, and not stand still already."""
        return process.forbidden(target.pid, target.start_ticks) or process.stopped(target.pid, target.start_ticks)

    def freezing(self, target: ProcessTarget) -> dict[str, Any]:
        """Which processes, but workers that stand still already. Raises ``UnavailableError`` if it does so itself."""
        if reason := process.stopped(target.pid, target.start_ticks):
            raise UnavailableError(reason, where=target.instance)
        return {"instance": target.instance, "members": process.going(target.pid, target.start_ticks)}

    def freeze(self, record: Record) -> None:
        """Stop them, it first so that it makes no more workers. Raises ``UnavailableError`` if it is gone."""
        process.hold(record["members"], where=record["instance"])

    def frozen(self, record: Record) -> bool | None:
        """Whether one of them stands still."""
        return any(process.state(pid, ticks) == "T" for pid, ticks in record["members"])

    def thaw(self, record: Record) -> None:
        """Let them go on, workers first."""
        process.send_all(reversed(record["members"]), Signals.SIGCONT)

    def unendable(self, target: ProcessTarget) -> str | None:
        """It must be ours to signal, and there must be a way to start it again."""
        return process.forbidden(target.pid, target.start_ticks) or restart.impossible(target)

    def ending(self, target: ProcessTarget, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """How the process was started."""
        asked = str(Path(context.scratch) / f"{context.mark}.asked")
        return {**restart.record(target, context, by=by), "grace_s": grace_s, "asked": asked}

    def kill(self, record: Record, signal: str) -> None:
        """Send the signal to it and its workers, and see the processes end."""
        ending.kill(record["members"], signal, where=record["instance"])

    def stop(self, record: Record) -> None:
        """SIGTERM, wait for the grace time, then SIGKILL to what is left."""
        Path(record["asked"]).touch(mode=0o600)
        ending.stop(record["members"], record["grace_s"], where=record["instance"])

    def ended(self, record: Record) -> bool:
        """Whether the process of then is gone."""
        return not process.alive(*record["members"][0])

    def down(self, record: Record) -> bool:
        """Whether no instance that fits is running, or only one that was asked to end."""
        return _asked(record) or not restart.back(record)

    def successors(self, record: Record) -> list[list[int]]:
        """Whatever fits the instance."""
        found = ((pid, start_ticks(pid)) for pid in restart.heads(record))
        return [[pid, ticks] for pid, ticks in found if ticks is not None]

    def start(self, record: Record) -> None:
        """Let the supervisor start it, or start it.

        One that was asked to end and still runs would end afterwards, for good: it comes to its end first.
        """
        if _asked(record):
            ending.finish(record["members"], record["grace_s"])
        restart.ensure(record)
        if "asked" in record:  # else an earlier Murphy wrote it
            Path(record["asked"]).unlink(missing_ok=True)

    def listening(self, target: ProcessTarget) -> dict[str, Any]:
        """In its own network namespace, if it has one. Raises ``UnavailableError`` as ``netns.listening`` does."""
        workers = [pid for pid, _ in process.members(target.pid, target.start_ticks)]
        return netns.listening(target.pid, target.start_ticks, target.port, workers)


def address(target: ProcessTarget) -> str:
    """An address at which a process that has a known port listens on it, or a container is called.

    Raises ``UnavailableError`` if the very process does not.
    """
    assert target.port is not None
    own = sockets.held(target.pid)
    process.require(target.pid, target.start_ticks)
    if isinstance(target, ContainerTarget):
        return target.address
    addresses = [where for inode, where in sockets.listeners(target.port).items() if inode in own]
    if not addresses:
        raise UnavailableError(f"process {target.pid} does not listen on port {target.port}.", where=target.instance)
    return sockets.reachable(min(addresses, key=lambda a: (":" in a, a)))


def _asked(record: Record) -> bool:
    """Whether the process of then still runs and may have been asked to end."""
    return "asked" in record and Path(record["asked"]).exists() and process.alive(*record["members"][0])


DRIVER = Local()
