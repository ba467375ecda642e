"""resource.disk_fill: a file takes the space of the volume that a directory is on."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.resource import memory
from executor.kernel import fill, process, volume

if TYPE_CHECKING:
    from executor.model.faults.resource import DiskFill as Spec


_BLOCK_BYTES = 512
"""As ``stat`` counts them, whatever the volume's own are. Source: stat(2)."""


class DiskFill:
    """Undone by removing the file; it is named by our mark, in the directory and nowhere else."""

    kind = "resource.disk_fill"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the directory decides
        """The directory must be the target's own to fill, and what the host needs stays free."""
        path = Path(fault.path)
        if reason := volume.unfit(path):
            return reason
        try:
            total, kept, spare = volume.size(path), volume.floor(path), volume.free(path, root=False)
            in_memory = volume.in_memory(path)
        except OSError as error:
            return f"{path} cannot be looked at: {error.strerror}."
        if not os.access(path, os.W_OK):
            return f"{path} is not ours to write to; run Murphy as its owner, or as root."
        left = max(total * fault.leave_percent / 100, spare - fault.bytes if fault.bytes else 0)
        if kept > left:
            return (
                f"{path} is on a volume that the host itself needs, where {kept / 2**20:,.0f} MiB have to stay free;"
                f" leave {100 * kept / total:.0f} % or more, or take a volume of its own."
            )
        host, available = memory.host_memory()
        if in_memory and available - (spare - left) < host * memory.FLOOR_PERCENT / 100:
            return f"{path} is in memory, of which the host would have less than {memory.FLOOR_PERCENT} %; take less."
        if spare <= left:
            return f"the volume of {path} has {spare / 2**20:,.0f} MiB left, no more than is to stay free."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which file, and what stays free. Raises ``UnavailableError`` if that is too little, or no target."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        if reason := self.unsupported(fault, target) or volume.ours(Path(fault.path), context.scratch):
            raise UnavailableError(reason, where=target.instance)
        leave = max(int(volume.size(Path(fault.path)) * fault.leave_percent / 100), volume.floor(Path(fault.path)))
        root = _runs_as_root(target.pid)
        return {"directory": fault.path, "mark": context.mark, "leave": leave, "bytes": fault.bytes, "root": root}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Make the file. Raises ``UnavailableError`` if it cannot be made."""
        try:
            fill.take(Path(record["directory"]), record["mark"], record["bytes"], record["leave"], root=record["root"])
        except OSError as error:
            word = errno.errorcode.get(error.errno or 0, "error")
            raise UnavailableError(
                f"nothing can be taken: {error.strerror} ({word}).", where=record["directory"]
            ) from None
        return {}

    def active(self, record: Record) -> bool:
        """Whether the file is there."""
        return fill.file_of(Path(record["directory"]), record["mark"]).exists()

    def tells(self, record: Record) -> str:
        """How much is taken, and how much is left for others than root."""
        path = Path(record["directory"])
        try:
            taken = fill.file_of(path, record["mark"]).stat().st_blocks * _BLOCK_BYTES
            free, total = volume.free(path, root=record["root"]), volume.size(path)
        except OSError:
            return ""
        most = f"{record['bytes'] / 2**20:,.0f} MiB at most, and " if record["bytes"] else ""
        asked = f"{most}{record['leave'] / 2**20:,.0f} MiB left asked"
        return f"{asked}, {taken / 2**20:,.1f} MiB taken and {free / 2**20:,.1f} of {total / 2**20:,.1f} MiB left"

    def revert(self, record: Record) -> None:
        """Remove it. Raises ``UnavailableError`` if it cannot be removed."""
        try:
            fill.release(Path(record["directory"]), record["mark"])
        except OSError as error:
            file = fill.file_of(Path(record["directory"]), record["mark"])
            raise UnavailableError(f"cannot be removed: {error.strerror}.", where=str(file)) from None


def _runs_as_root(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}").stat().st_uid == 0
    return False
