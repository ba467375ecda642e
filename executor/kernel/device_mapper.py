"""Volumes made by the kernel's device mapper (LVM's, say): what they are mapped to, exchanged and given back.

Standard library and ``dmsetup`` only: the watchdog uses it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from executor.errors import UnavailableError
from executor.kernel import privilege

_PROGRAM_S: Final = 8.0
_LATE: Final = "delay"
_PLAIN: Final = "linear"
"""The only kind of mapping that is exchanged: an encrypted one would lose its key, a snapshot its changes."""


def name_of(device: str) -> str | None:
    """The mapper's name of a volume (``major:minor``); ``None`` if it is not the mapper's."""
    try:
        return (Path("/sys/dev/block") / device / "dm/name").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def unusable(*, slow: bool = False) -> str | None:
    """What is lacking here to exchange a volume's mapping, in one sentence with what to do about it; else ``None``.

    ``slow``: for one that delays, which is a module of its own.
    """
    if reason := privilege.lacking("changes of what a volume is mapped to", "CAP_SYS_ADMIN"):
        return reason
    if _program("dmsetup") is None:
        return "dmsetup is not installed; install dmsetup."
    if "device-mapper" not in Path("/proc/devices").read_text(encoding="ascii").split():
        return "no device mapper is at work in this kernel; load dm_mod, and put the data on a volume made by it (LVM)."
    if not slow:
        return None
    try:
        if any(line.startswith(_LATE) for line in _ask("targets").splitlines()):
            return None
    except UnavailableError as error:
        return f"{str(error).rstrip('.')}; see that dmsetup can be used."
    modprobe = _program("modprobe")
    if modprobe and subprocess.run([modprobe, "--dry-run", "--quiet", f"dm-{_LATE}"], check=False).returncode:
        return f"this kernel has no dm-{_LATE}; load this module, or use a kernel that has it."
    return None


def unfit(name: str) -> str | None:
    """Why a volume's mapping cannot be exchanged, in one sentence; ``None`` if it can."""
    try:
        lines = table(name)
        kinds = sorted({line.split()[2] for line in lines} - {_PLAIN})
    except UnavailableError as error:
        return str(error)
    if kinds:
        return f"the volume {name} is mapped by {', '.join(kinds)}; only plain (linear) mappings are exchanged."
    return None


def table(name: str) -> list[str]:
    """What a volume is mapped to now, a line a part. Raises ``UnavailableError`` if it is not there."""
    return _ask("table", name).splitlines()


def suspended(name: str) -> bool:
    """Whether it stands still. Raises ``UnavailableError`` if it is not there."""
    return _ask("info", "-c", "--noheadings", "-o", "suspended", name).strip() == "Suspended"


def gone(lines: list[str]) -> list[str]:
    """The same parts with nothing behind them: every read and write fails."""
    return [" ".join((*line.split()[:2], "error")) for line in lines]


def late(lines: list[str], delay_ms: int) -> list[str]:
    """The same parts, each read and write delayed."""
    return [f"{start} {size} {_LATE} {device} {offset} {delay_ms}" for start, size, _, device, offset in _split(lines)]


def exchange(name: str, lines: list[str]) -> None:
    """Map a volume to something else, without waiting for what is under way. Raises ``UnavailableError``.

    If it breaks off, the volume may stand still; exchanging it again, or back, lets it go on.
    """
    _ask("load", name, said="\n".join(lines) + "\n")
    _ask("suspend", "--nolockfs", "--noflush", name)
    _ask("resume", name)


def _split(lines: list[str]) -> list[tuple[str, str, str, str, str]]:
    return [(parts[0], parts[1], parts[2], parts[3], parts[4]) for parts in map(str.split, lines)]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _ask(*arguments: str, said: str | None = None) -> str:
    program = _program("dmsetup")
    if program is None:
        raise UnavailableError("dmsetup is not installed.", hint="Install dmsetup.")
    try:
        done = subprocess.run(
            [program, *arguments], input=said, capture_output=True, text=True, timeout=_PROGRAM_S, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"dmsetup {arguments[0]} did not end: {error}.") from None
    if done.returncode:
        raise UnavailableError(f"dmsetup {arguments[0]}: {' '.join(done.stderr.split()).rstrip('.')}.")
    return done.stdout
