"""resource.clock_skew: libfaketime, which the process was started with, is told another time."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import process, volume

if TYPE_CHECKING:
    from executor.model.faults.resource import ClockSkew as Spec

_LONGEST = 64
_OFFSET = re.compile(r"([+-]\d+(?:\.\d+)?)s?\n?")
_FILE, _HOW = "FAKETIME_TIMESTAMP_FILE", "LD_PRELOAD=libfaketime.so.1 FAKETIME_TIMESTAMP_FILE=/path FAKETIME_NO_CACHE=1"


class ClockSkew:
    """The library's timestamp file is replaced; it looks at it whenever the process asks for the time."""

    kind = "resource.clock_skew"
    lease: LeaseKind = "watchdog"
    unclaimed = True

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the process decides
        """It must have been started with the library, and a timestamp file of its own."""
        assert isinstance(target, ProcessTarget)
        try:
            return _unfit(target) or process.forbidden(target.pid, target.start_ticks)
        except OSError as error:
            return f"{target.instance} cannot be looked at ({error.strerror}); run Murphy as its user, or as root."

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record the file and what it says. Raises ``UnavailableError`` if the process is gone, or not fit for it."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        if reason := self.unsupported(fault, target):
            raise UnavailableError(reason, where=target.instance)
        file = _environment(target.pid)[_FILE]
        members = process.members(target.pid, target.start_ticks)
        before = _content(Path(file))
        told = fault.offset_s + (float(_OFFSET.fullmatch(before)[1]) if before else 0.0)  # type: ignore[index]
        return {"members": members, "file": file, "before": before, "told": f"{told:+.6f}\n", "mark": context.mark}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Tell it. Raises ``UnavailableError`` if the process is gone, or the file cannot be written."""
        process.require(*record["members"][0])
        _tell(record, record["told"])
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the file says something else than before."""
        try:
            return bool(_content(Path(record["file"])) != record["before"])
        except OSError:
            return None

    def revert(self, record: Record) -> None:
        """As before, or none at all. Raises ``UnavailableError`` if it cannot be written."""
        with suppress(OSError):
            _beside(record).unlink(missing_ok=True)
        if self.active(record) is not False:
            _tell(record, record["before"])


def _unfit(target: ProcessTarget) -> str | None:
    environment = _environment(target.pid)
    if "libfaketime" not in Path(f"/proc/{target.pid}/maps").read_text(encoding="utf-8", errors="replace"):
        return (
            f"{target.instance} runs without libfaketime; start it with {_HOW} (a kernel has one wall clock for all)."
        )
    if "FAKETIME" in environment or not environment.get(_FILE, "").startswith("/"):
        return f"{target.instance} gets its time otherwise than from a file; start it with {_HOW} and without FAKETIME."
    if environment.get("FAKETIME_NO_CACHE") != "1":
        return f"{target.instance} would see the end of the fault seconds later; start it with FAKETIME_NO_CACHE=1."
    if not volume.same_files(target.pid):
        return f"{target.instance} sees another file system than Murphy; run Murphy where it runs."
    file = environment[_FILE]
    own = {pid for pid, _ in process.members(target.pid, target.start_ticks)}
    others = [pid for pid in process.pids() if pid not in own and _environment(pid, but={}).get(_FILE) == file]
    if others:
        return f"process {others[0]} takes its time from {file} too; give {target.instance} a file of its own."
    before = _content(Path(file))
    if before is not None and not _OFFSET.fullmatch(before):
        return f"{file} says no plain offset in seconds, such as +0; write one, or remove it."
    return None


def _environment(pid: int, but: dict[str, str] | None = None) -> dict[str, str]:
    """That a process was started with. Raises ``OSError`` if it may not be looked at, unless there is a ``but``."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        if but is None:
            raise
        return but
    pairs = (os.fsdecode(item).partition("=") for item in raw.split(b"\0"))
    return {name: value for name, _, value in pairs if name.startswith("FAKETIME")}


def _content(file: Path) -> str | None:
    """What it says, ``None`` if there is none; the library takes an empty one for no news. Raises ``OSError``."""
    try:
        with file.open("rb") as stream:
            return stream.read(_LONGEST).decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _tell(record: Record, text: str | None) -> None:
    file, beside = Path(record["file"]), _beside(record)
    try:
        if text is None:
            file.unlink(missing_ok=True)
            return
        beside.write_text(text, encoding="ascii")
        beside.chmod(0o644)  # its user need not be ours
        with suppress(FileNotFoundError):
            about = file.stat()
            os.chown(beside, about.st_uid, about.st_gid)
            beside.chmod(about.st_mode & 0o7777)
        beside.replace(file)  # at one stroke: half an offset would be another time
    except OSError as error:
        raise UnavailableError(f"cannot be written: {error.strerror}.", where=str(file)) from None


def _beside(record: Record) -> Path:
    return Path(f"{record['file']}.{record['mark']}")
