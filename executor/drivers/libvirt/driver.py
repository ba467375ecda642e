"""The driver of virtual machines that libvirt keeps, on this machine or another: all is asked of libvirt itself.

It would not know of what is done to QEMU behind its back. Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.driver import Part, Record, RestartBy
from executor.drivers.libvirt import parts, virsh
from executor.drivers.restart import PATIENCE_S
from executor.drivers.targets import LibvirtTarget
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import LibvirtInstance, Service

_POLL_S: Final = 0.3


class Libvirt:
    """A machine that libvirt only knows while it runs is started again from the description in the record."""

    name = "libvirt"
    noun = "a virtual machine of libvirt's"

    def find(self, service: Service, instance: LibvirtInstance) -> LibvirtTarget:
        """The machine as it runs. Raises ``UnavailableError`` if it does not run, or libvirt cannot be asked."""
        place = {"instance": instance.id, "uri": instance.uri}
        known = virsh.known(place)
        uuid = known.get(instance.domain, instance.domain.lower())
        if uuid not in known.values():
            there = f"it knows {', '.join(sorted(known)[:20])}" if known else "it knows none"
            raise UnavailableError(f"libvirt at {instance.uri} knows no {instance.domain}; {there}.", where=instance.id)
        now = virsh.look({**place, "uuid": uuid})
        if now is None or not now.number:
            raise UnavailableError(f"the machine is {now.state if now else 'gone'}, not running.", where=instance.id)
        return LibvirtTarget(service, instance.id, uri=instance.uri, uuid=uuid, number=now.number)

    def unfreezable(self, target: LibvirtTarget) -> str | None:
        """It must be running."""
        return _why_not(lambda: self.freezing(target))

    def freezing(self, target: LibvirtTarget) -> dict[str, Any]:
        """Which machine. Raises ``UnavailableError`` for one that stands still already."""
        place = _place(target)
        if (now := virsh.require(place).state) != "running":
            raise UnavailableError(f"the machine is {now}, not running.", where=target.instance)
        return place

    def freeze(self, record: Record) -> None:
        """Stop its processors. Raises ``UnavailableError`` if it is gone."""
        virsh.require(record)
        virsh.ask(record, "suspend", record["uuid"])

    def frozen(self, record: Record) -> bool | None:
        """Whether its processors are stopped, and not by libvirt itself."""
        return _asked(lambda: virsh.running(record) is not None and virsh.paused(record))

    def thaw(self, record: Record) -> None:
        """Let them go on, if they are stopped."""
        if virsh.running(record) is not None and virsh.paused(record):
            try:
                virsh.ask(record, "resume", record["uuid"])
            except UnavailableError:
                if self.frozen(record) is not False:  # else somebody else was quicker
                    raise

    def unendable(self, target: LibvirtTarget) -> str | None:
        """It must come back as it is now."""
        return _why_not(lambda: _recipe(_place(target)))

    def ending(self, target: LibvirtTarget, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """Which machine, and how it is made where libvirt will not know it any more."""
        place = _place(target)
        return {
            **place,
            "xml": _recipe(place),
            "grace_s": grace_s,
            "asked": str(Path(context.scratch) / f"{context.mark}.asked"),
            "patience_s": 0.0 if by == "murphy" else PATIENCE_S[target.service.restarts],
        }

    def kill(self, record: Record, signal: str) -> None:  # noqa: ARG002 - a machine knows no signals
        """Cut its power. Raises ``UnavailableError`` if it is gone."""
        virsh.require(record)
        virsh.ask(record, "destroy", record["uuid"])

    def stop(self, record: Record) -> None:
        """Press its power button, and after the grace time cut its power."""
        virsh.require(record)
        Path(record["asked"]).touch(mode=0o600)
        with suppress(UnavailableError):  # one that cannot be asked does not heed it
            virsh.ask(record, "shutdown", record["uuid"], "--mode", "acpi")
        _see_it_end(record)

    def ended(self, record: Record) -> bool | None:
        """Whether the one of then is gone, whatever runs in its place."""
        return _asked(lambda: virsh.running(record) is None)

    def down(self, record: Record) -> bool | None:
        """Whether it does not run, or is about to end."""
        return _asked(lambda: not _up(record) or _going(record))

    def start(self, record: Record) -> None:
        """Let whoever should start it, or start it. Raises ``UnavailableError`` if it does not run."""
        if _going(record):
            _see_it_end(record)
        if not _within(record["patience_s"], lambda: _up(record)):
            _start(record)
        Path(record["asked"]).unlink(missing_ok=True)

    def unresettable(self, target: LibvirtTarget) -> str | None:
        """It must go on when it starts anew."""
        return _why_not(lambda: self.resetting(target))

    def resetting(self, target: LibvirtTarget) -> dict[str, Any]:
        """Which machine. Raises ``UnavailableError`` for one that would end."""
        place = self.freezing(target)
        if (then := virsh.described(place).findtext("on_reboot", "restart")) != "restart":
            raise UnavailableError(f"its on_reboot is {then}, not restart; choose stop.", where=target.instance)
        return place

    def reset(self, record: Record) -> None:
        """Press its reset button. Raises ``UnavailableError`` if libvirt does not say that it was done."""
        virsh.require(record)
        virsh.ask(record, "reset", record["uuid"])

    def irremovable(self, target: LibvirtTarget, part: Part, device: str) -> str | None:
        """The part must be there, and be one that the guest is not asked about."""
        return _why_not(lambda: self._image(target, part, device))

    def removing(self, target: LibvirtTarget, context: Context, part: Part, device: str) -> dict[str, Any]:  # noqa: ARG002
        """Which part, and how it was."""
        return self._image(target, part, device)

    def _image(self, target: LibvirtTarget, part: Part, device: str) -> dict[str, Any]:
        place = _place(target)
        virsh.require(place)
        return place | {"part": part} | parts.image(place, part, device)

    def remove(self, record: Record) -> None:
        """Pull out the cable, or the disk."""
        virsh.require(record)
        parts.remove(record)

    def removed(self, record: Record) -> bool | None:
        """Whether it is out."""
        return _asked(lambda: virsh.running(record) is not None and parts.removed(record))

    def put_back(self, record: Record) -> None:
        """Put it in again; a machine that was started anew has it anyway."""
        if virsh.running(record) is not None:
            parts.put_back(record)


def _place(target: LibvirtTarget) -> dict[str, Any]:
    """Which machine, as it was started, and where it is asked about, for a record."""
    return {"instance": target.instance, "uri": target.uri, "uuid": target.uuid, "number": target.number}


def _recipe(place: Record) -> str:
    """How it is made, if libvirt forgets it once it has ended; else empty.

    Raises ``UnavailableError`` if it would not come back as it is.
    """
    now, where = virsh.require(place), place["instance"]
    if now.persistent:
        defined = _devices(virsh.described(place, "--inactive"))
        if extra := sorted(_devices(virsh.described(place)) - defined):
            raise UnavailableError(
                f"its definition lacks {', '.join(extra)}, which it would come back without; define it too.",
                where=where,
            )
        return ""
    text = virsh.written(virsh.described(place, "--inactive"))
    if text != virsh.written(virsh.described(place, "--inactive", "--security-info")):
        raise UnavailableError(
            "libvirt forgets it when it ends, and its description holds a secret, which Murphy does not keep.",
            where=where,
            hint="Define it (virsh define).",
        )
    return text


def _devices(machine: virsh.Element) -> set[str]:
    """Disks and cards by what stays the same from one start to the next."""
    disks = (each.get("dev", "") for each in machine.iterfind("devices/disk/target"))
    cards = (each.get("address", "") for each in machine.iterfind("devices/interface/mac"))
    return {*disks, *cards}


def _start(record: Record) -> None:
    """Start it. Raises ``UnavailableError`` if it does not run then."""
    try:
        if record["xml"] and virsh.look(record) is None:
            virsh.create(record)
        else:
            virsh.ask(record, "start", record["uuid"])
    except UnavailableError:
        if not _up(record):  # else somebody else was quicker
            raise


def _up(record: Record) -> bool:
    """Whether it runs, started whenever."""
    now = virsh.look(record)
    return now is not None and bool(now.number)


def _going(record: Record) -> bool:
    """Whether the one of then still runs and may have been asked to end."""
    return Path(record["asked"]).exists() and virsh.running(record) is not None


def _see_it_end(record: Record) -> None:
    """Give it its grace time, then cut its power."""
    if not _within(record["grace_s"], lambda: virsh.running(record) is None):
        with suppress(UnavailableError):  # it has ended at last
            virsh.ask(record, "destroy", record["uuid"])
        if virsh.running(record) is not None:
            raise UnavailableError("the machine does not end.", where=record["instance"])


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    return True


def _asked(question: Callable[[], bool]) -> bool | None:
    """The answer; ``None`` if libvirt gives none."""
    try:
        return question()
    except UnavailableError:
        return None


def _why_not(look: Callable[[], Any]) -> str | None:
    """What a look raises."""
    try:
        look()
    except UnavailableError as error:
        return str(error)
    return None


DRIVER = Libvirt()
