"""Which levels of the safety net are in force on this machine: what would end a fault whose executor has died."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from executor.clock import in_container
from executor.errors import MurphyError
from executor.kernel import privilege, redirect
from executor.state.home import Home
from planner.doctor.diagnosis import Diagnosis

_CAPABILITIES: Final = ("CAP_IPC_LOCK", "CAP_SYS_NICE", "CAP_SYS_RESOURCE")
"""What the watchdog needs to keep its memory, go before others, and be spared in a memory shortage."""
_VOLATILE: Final = frozenset({"tmpfs", "ramfs", "overlay"})
"""File systems that may not outlive a restart of the machine, or of the container."""
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
"""File systems on which SQLite's locks and log cannot be relied on. Source: sqlite.org/wal.html."""
_ASK_S: Final = 5.0
UNITS: Final = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
"""Where a system's units are."""
UNIT: Final = "murphy-recover.service"


def _kernel() -> Diagnosis:
    why = redirect.unavailable()
    if why is None:
        return Diagnosis(
            "lease in the kernel", True, "redirected edges end by a time-out of nftables, whoever has died"
        )
    return Diagnosis("lease in the kernel", False, why, "Edges through a managed proxy end by the proxy's own lease.")


def _watchdog() -> Diagnosis:
    lacking = privilege.missing(*_CAPABILITIES)
    if not lacking:
        detail = "spared in a memory shortage, its memory locked, before others at the processor"
        return Diagnosis("protected watchdog", True, detail)
    detail = f"it runs like any process of yours: {', '.join(lacking)} missing"
    remedy = "Run as root." if os.geteuid() else "Grant them to the service or container that Murphy runs in."
    return Diagnosis("protected watchdog", False, detail, remedy)


def _own_processes() -> Diagnosis:
    """Whether the end of a container or a service would take the watchdog along with the executor."""
    what = "watchdog outlives us"
    if in_container():
        remedy = "Keep the state directory on a volume, and run murphy recover at every start."
        return Diagnosis(what, False, "we run in a container, which ends with all in it", remedy)
    if unit := unit_of(Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")):
        remedy = "Set KillMode=process there, or let it run murphy recover when it stops (ExecStopPost=) and starts."
        return Diagnosis(what, False, f"we run in {unit}, which systemd ends with all in it", remedy)
    return Diagnosis(what, True, "it has a session of its own")


def unit_of(cgroups: str) -> str:
    """The service of systemd's that ``/proc/PID/cgroup`` says a process is in; empty for none, or if it spares others.

    Source: systemd.kill(5), ``KillMode=``.
    """
    paths = [line.split(":", 2)[-1] for line in cgroups.splitlines()]
    unit = next((name for path in paths if (name := path.rpartition("/")[2]).endswith(".service")), "")
    return "" if unit and _kill_mode(unit) in ("process", "none") else unit


def _kill_mode(unit: str) -> str:
    """What systemd ends with a unit; empty if it cannot be asked."""
    command = ["systemctl", "show", "--property=KillMode", "--value", "--", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _state_survives() -> Diagnosis:
    try:
        path = Home.open().path
    except MurphyError as error:
        return Diagnosis("state outlives a restart", False, str(error), "Set MURPHY_HOME to a directory you may write.")
    kind = _file_system(path)
    remedy = "Set MURPHY_HOME to a directory on a local disk."
    if kind in _REMOTE:
        return Diagnosis("state outlives a restart", False, f"{path} is on {kind}, where locks may not hold", remedy)
    if kind in _VOLATILE:
        return Diagnosis("state outlives a restart", False, f"{path} is on {kind}", remedy)
    return Diagnosis("state outlives a restart", True, f"{path} is on {kind or 'a disk'}")


def _file_system(path: Path) -> str:
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (path, *path.parents) if place in mounts), "")


def _boot() -> Diagnosis:
    for directory in UNITS:
        if (directory / UNIT).exists():
            return Diagnosis("recovery at boot", True, str(directory / UNIT))
    remedy = f"murphy recover --unit > {UNITS[0] / UNIT}, and systemctl enable {UNIT}."
    if not Path("/run/systemd/system").is_dir():
        remedy = "Run murphy recover when the machine starts."
    return Diagnosis("recovery at boot", False, "what a power cut leaves waits for murphy recover", remedy)


LOOKS: Final[tuple[Callable[[], Diagnosis], ...]] = (_kernel, _watchdog, _own_processes, _state_survives, _boot)
