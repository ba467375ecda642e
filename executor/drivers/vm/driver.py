"""The driver of virtual machines that QEMU runs here: through its own socket, and by the process that it is.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.driver import Part, Record, RestartBy
from executor.drivers.local import Local
from executor.drivers.targets import ProcessTarget, VmTarget
from executor.drivers.vm import notes, parts, qmp
from executor.errors import UnavailableError
from executor.kernel import process, sockets

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import Service, VmInstance

_RESETS_WITHIN_S = 5.0
_QUITS_WITHIN_S = 3.0
_STAYS_OFF = ("-no-reboot", "reboot=shutdown")
"""Arguments with which QEMU ends where a machine would start anew."""


class Vm(Local):
    """A machine is QEMU's process too: it ends, and is started again, as any process does."""

    name = "vm"
    noun = "a virtual machine"

    def find(self, service: Service, instance: VmInstance) -> VmTarget:  # type: ignore[override]
        """The machine whose QEMU serves the socket. Raises ``UnavailableError`` if there is none, or it is not here."""
        with qmp.session(instance.qmp) as opened:
            pid, ticks = opened.pid, opened.ticks
        program = Path((process.command_line(pid) or ("",))[0]).name
        if ticks is None or "qemu" not in program:
            by = f"process {pid} ({program or 'out of sight'})"
            raise UnavailableError(f"is served by {by}, not by QEMU itself on this machine.", where=instance.qmp)
        listens = instance.port is not None and sockets.held(pid) & sockets.listeners(instance.port).keys()
        port = instance.port if listens else None  # else it is the guest's own, at an address of the guest's own
        return VmTarget(service, instance.id, pid, ticks, port, qmp=instance.qmp)

    def unfreezable(self, target: ProcessTarget) -> str | None:
        """It must be running."""
        try:
            self.freezing(target)
        except UnavailableError as error:
            return str(error)
        return None

    def freezing(self, target: ProcessTarget) -> dict[str, Any]:
        """Which machine. Raises ``UnavailableError`` for one that stands still already."""
        kept = _kept(target)
        with qmp.session_of(kept) as opened:
            if (now := opened.ask("query-status")["status"]) != "running":
                raise UnavailableError(f"the machine is {now}, not running.", where=target.instance)
        return kept

    def freeze(self, record: Record) -> None:
        """Stop its processors. Raises ``UnavailableError`` if it is gone."""
        with qmp.session_of(record) as opened:
            notes.put(opened, record, "pause")
            opened.ask("stop")

    def frozen(self, record: Record) -> bool | None:
        """Whether its processors are stopped."""
        return qmp.asked(record, lambda opened: opened.ask("query-status")["status"] == "paused")

    def thaw(self, record: Record) -> None:
        """Let them go on, if they are stopped."""
        if process.alive(*record["members"][0]):
            with qmp.session_of(record) as opened:
                if opened.ask("query-status")["status"] == "paused":
                    opened.ask("cont")
                notes.drop(opened, record)

    def ending(self, target: ProcessTarget, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """How QEMU was started."""
        return {**super().ending(target, context, by=by, grace_s=grace_s), **_kept(target)}

    def stop(self, record: Record) -> None:
        """Press its power button, and after the grace time tell QEMU to quit, whatever the guest says."""
        pid, ticks = record["members"][0]
        Path(record["asked"]).touch(mode=0o600)
        with qmp.session_of(record) as opened:
            opened.ask("system_powerdown")
        if not process.wait_gone(pid, ticks, record["grace_s"]):
            with qmp.session_of(record) as opened:
                opened.ask("quit")
            if not process.wait_gone(pid, ticks, _QUITS_WITHIN_S):
                self.kill(record, "KILL")

    def unresettable(self, target: ProcessTarget) -> str | None:
        """QEMU must go on when the machine starts anew."""
        if any(argument.endswith(_STAYS_OFF) for argument in process.command_line(target.pid)):
            return f"QEMU ends when {target.instance} starts anew; start it without -no-reboot, or choose stop."
        return self.unfreezable(target)

    def resetting(self, target: ProcessTarget) -> dict[str, Any]:
        """Which machine."""
        return self.freezing(target)

    def reset(self, record: Record) -> None:
        """Press its reset button. Raises ``UnavailableError`` if QEMU does not tell that it was done."""
        with qmp.session_of(record) as opened:
            opened.ask("system_reset")
            if not opened.event("RESET", _RESETS_WITHIN_S):
                raise UnavailableError("QEMU does not say that it was reset.", where=record["instance"])

    def irremovable(self, target: ProcessTarget, part: Part, device: str) -> str | None:
        """The part must be there, and be one that the guest is not asked about."""
        try:
            self._image(target, part, device)
        except UnavailableError as error:
            return str(error)
        return None

    def removing(self, target: ProcessTarget, context: Context, part: Part, device: str) -> dict[str, Any]:
        """Which part, and how it was."""
        return {"mark": context.mark, **self._image(target, part, device)}

    def _image(self, target: ProcessTarget, part: Part, device: str) -> dict[str, Any]:
        kept = _kept(target)
        with qmp.session_of(kept) as opened:
            return kept | {"part": part} | parts.image(opened, part, device)

    def remove(self, record: Record) -> None:
        """Pull out the cable, or the disk."""
        with qmp.session_of(record) as opened:
            parts.remove(opened, record)

    def removed(self, record: Record) -> bool | None:
        """Whether it is out."""
        return qmp.asked(record, lambda opened: parts.removed(opened, record))

    def put_back(self, record: Record) -> None:
        """Put it in again; a machine that was started anew has it anyway."""
        if process.alive(*record["members"][0]):
            with qmp.session_of(record) as opened:
                parts.put_back(opened, record)


def _kept(target: ProcessTarget) -> dict[str, Any]:
    """Which machine. Its workers are threads, so QEMU's process is all of it."""
    assert isinstance(target, VmTarget)
    process.require(target.pid, target.start_ticks)
    return {"instance": target.instance, "qmp": target.qmp, "members": [[target.pid, target.start_ticks]]}


DRIVER = Vm()
