"""What else can befall a run beside signals: its disk fills up or breaks, the clock is stepped, a proxy hangs."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from executor.clock import start_ticks
from executor.errors import UnavailableError
from executor.kernel import process
from executor.selftest import hooks
from executor.selftest.scene import Scene

_NEW_MOUNTS = 0x00020000
"""``CLONE_NEWNS`` of ``<linux/sched.h>``; Python has ``os.unshare`` from 3.12 on."""
_TOOL_S = 30.0
_DISK_BYTES = 8 * 2**20
_DAY_S = 86_400.0


class Trouble:
    """None. Others override what they do."""

    early = False
    """It comes before the boundary at which the run is struck, not at it."""
    heals_open_files = True
    """What was open before goes on working once it is over."""

    def __init__(self, scene: Scene | None, place: Path) -> None:
        self.scene, self.place = scene, place
        self.disk = place
        """Where the home is made."""

    def prepare(self) -> None:
        """Before the run."""

    def environment(self) -> dict[str, str]:
        """What the processes of the run get into their environment."""
        return {}

    def befall(self) -> None:
        """It comes, now."""

    def mend(self) -> None:
        """It is over. Idempotent."""

    def close(self) -> None:
        """Leave nothing of it behind."""


class DiskFull(Trouble):
    """Not a byte is left on the disk under the home."""

    def prepare(self) -> None:
        """Mount it."""
        self.disk = self.place / "disk"
        self.disk.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "murphy-selftest", str(self.disk))

    def befall(self) -> None:
        """It comes, now, in one stroke: a filler that went on would take the journal's reserve too, once freed."""
        with (self.disk / "ballast").open("wb") as file:
            while room := self._room():
                with suppress(OSError):  # somebody else took some of it
                    os.posix_fallocate(file.fileno(), 0, room)
                    break

    def _room(self) -> int:
        """Bytes."""
        disk = os.statvfs(self.disk)
        return disk.f_bavail * disk.f_frsize

    def mend(self) -> None:
        """It is over."""
        (self.disk / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Leave nothing of it behind."""
        _copy_out(self.disk, self.place)
        _tool("umount", "--lazy", str(self.disk))


class DiskReadOnly(Trouble):
    """The file system under the home turns read-only under open files, as the kernel does it after a disk's error."""

    heals_open_files = False

    def prepare(self) -> None:
        """Mount it."""
        self.disk = self.place / "disk"
        self.disk.mkdir()
        self._image = self.place / "image"
        with self._image.open("wb") as file:
            file.truncate(_DISK_BYTES)
        _tool("mkfs.ext4", "-q", "-O", "^has_journal", str(self._image))
        _mount("-o", "loop", str(self._image), str(self.disk))
        self._broken = False

    def befall(self) -> None:
        """It comes, now."""
        _mount("-o", "remount,abort", str(self.disk))
        self._broken = True

    def mend(self) -> None:
        """Another mount of the same disk, as after a restart of the machine; nobody may hold a file on the old one."""
        if self._broken:
            deadline = time.monotonic() + _TOOL_S
            while True:
                try:
                    _tool("umount", str(self.disk))
                    break
                except UnavailableError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            _mount("-o", "loop", str(self._image), str(self.disk))
            self._broken = False

    def close(self) -> None:
        """Leave nothing of it behind."""
        _copy_out(self.disk, self.place)
        _tool("umount", "--lazy", str(self.disk))
        self._image.unlink()


class ClockForwards(Trouble):
    """The wall clock jumps ahead by a day."""

    off_s = _DAY_S

    def environment(self) -> dict[str, str]:
        """The clock that they go by."""
        return hooks.environment(self.place / "hooks")

    def befall(self) -> None:
        """It comes, now."""
        hooks.clock_file(self.place / "hooks").write_text(str(self.off_s), encoding="ascii")


class ClockBackwards(ClockForwards):
    """The wall clock falls back by a day."""

    off_s = -_DAY_S


class ProxyHangs(Trouble):
    """The managed proxy stands still, so that its fault can be neither renewed nor taken away: a revert is owed."""

    early = True

    def befall(self) -> None:
        """It comes, now."""
        self._signal(signal.SIGSTOP)

    def mend(self) -> None:
        """It is over."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Leave nothing of it behind."""
        self.mend()

    def _signal(self, number: signal.Signals) -> None:
        assert self.scene is not None
        ticks = start_ticks(self.scene.proxy_pid)
        if ticks is not None:
            process.send(self.scene.proxy_pid, ticks, number)


TROUBLES: dict[str, type[Trouble]] = {
    "": Trouble,
    "disk full": DiskFull,
    "disk read-only": DiskReadOnly,
    "clock forwards": ClockForwards,
    "clock backwards": ClockBackwards,
    "proxy hangs": ProxyHangs,
}


def own_mounts() -> str | None:
    """Give this process mounts of its own, which nobody else sees; why that cannot be, or ``None``."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        return f"a mount namespace cannot be had ({os.strerror(ctypes.get_errno())})"
    try:
        _mount("--make-rprivate", "/")
    except UnavailableError as error:
        return error.message.rstrip(".")
    return None


def impossible(place: Path, without_mounts: str | None) -> dict[str, str]:
    """Troubles that cannot be made here, and why. ``place`` is an empty directory to try it in."""
    if without_mounts is not None:
        return {"disk full": without_mounts, "disk read-only": without_mounts}
    found = {}
    for name in ("disk full", "disk read-only"):
        trouble = TROUBLES[name](None, place / name.replace(" ", "-"))
        trouble.place.mkdir()
        try:
            trouble.prepare()
            trouble.close()
        except UnavailableError as error:
            found[name] = error.message.rstrip(".")
    return found


def _mount(*arguments: str) -> None:
    _tool("mount", *arguments)


def _tool(*command: str) -> None:
    if shutil.which(command[0]) is None:
        raise UnavailableError(f"{command[0]} is not installed.")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_S, check=False)
    if done.returncode:
        raise UnavailableError(f"{' '.join(command[:3])} failed: {done.stderr.strip()}.")


def _copy_out(disk: Path, place: Path) -> None:
    """Keep what was on the disk, in case it has to be looked at."""
    with suppress(OSError, shutil.Error):
        shutil.copytree(disk / "home", place / "home", symlinks=True, ignore_dangling_symlinks=True)
