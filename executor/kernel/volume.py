"""Directories and the volumes that they are on: which may be struck, what is mounted where, how full they are.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import executor
from executor.errors import UnavailableError
from executor.kernel import privilege, process

FLOOR_PERCENT: Final = 10
FLOOR_BYTES: Final = 2 * 2**30
"""What stays free on a volume of the host's own, whatever is asked: the larger of the two."""
_NEVER: Final = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
"""Nothing in these is struck."""
_NOT_WHOLE: Final = (
    *("/", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp"),  # noqa: S108 - named to be refused
    *("/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp"),  # noqa: S108 - as above
)
"""These are everybody's; a directory in one of them may be struck."""
_DETACH, _NO_FOLLOW = 2, 8
"""Flags of umount2(2)."""
_PROGRAM_S: Final = 10.0


@dataclass(frozen=True)
class Mount:
    """One line of ``/proc/self/mountinfo``."""

    device: str
    """``major:minor`` of its volume."""
    point: Path
    kind: str
    source: str
    options: frozenset[str]
    """Of the volume, whatever else it is mounted on."""

    @property
    def read_only(self) -> bool:
        """Whether the volume takes no writes."""
        return "ro" in self.options


def unchangeable() -> str | None:
    """Why we may change no volume that is mounted, in one sentence with what to do about it; ``None`` if we may."""
    return privilege.lacking("changes of volumes that are mounted", "CAP_SYS_ADMIN")


def mounts() -> list[Mount]:
    """All that this process sees, the older first; one that hides another comes after it."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        _, _, device, _, point = left.split()[:5]
        kind, source, options = right.split(" ", 2)
        found.append(Mount(device, Path(_plain(point)), kind, _plain(source), frozenset(options.split(","))))
    return found


def mounted_on(path: Path) -> Mount | None:
    """What is mounted on that very directory, on top."""
    return next((mount for mount in reversed(mounts()) if mount.point == path), None)


def in_memory(path: Path) -> bool:
    """Whether what is written to a directory takes the host's memory. Raises ``OSError``."""
    device = device_of(path)
    return any(mount.device == device and mount.kind in ("tmpfs", "ramfs") for mount in mounts())


def device_of(path: Path) -> str:
    """``major:minor`` of the volume that a directory is on. Raises ``OSError`` if it is not there."""
    number = path.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def same_files(pid: int) -> bool:
    """Whether a process sees the same mounts as we do."""
    try:
        return Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink()
    except OSError:
        return False


def unfit(path: Path) -> str | None:
    """Why a directory must not be struck, in one sentence; ``None`` if it may."""
    try:
        if not path.is_dir() or path.resolve() != path:
            return f"{path} is no directory by its own name; give the path without links."
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}."
    if str(path) in _NOT_WHOLE or any(path.is_relative_to(part) for part in _NEVER):
        return f"{path} is the system's; name the directory of the target's own data."
    package = Path(executor.__file__).parent
    for place in (Path(place).resolve() for place in (sys.prefix, sys.base_prefix, package)):
        if path.is_relative_to(place):
            return f"{path} is in what Murphy itself needs ({place}); choose another directory."
    return ours(path, sys.prefix, sys.base_prefix, str(package.parent))


def ours(path: Path, *places: str) -> str | None:
    """That a directory holds, or is, what Murphy itself needs, in one sentence; ``None`` if it does not."""
    for place in (Path(place).resolve() for place in places):
        if place.is_relative_to(path):
            return f"{path} holds what Murphy itself needs ({place}); choose another directory."
    return None


def shared(path: Path) -> str | None:
    """What under a directory is shared by processes in a way that ends at another mount, in one sentence; or ``None``.

    A file that is mapped as shared memory, by whom, or a Unix socket that is bound there by its full path.
    """
    below = os.fsencode(f"{path}/")
    for pid in process.pids():
        with suppress(OSError):  # it ends, or is not ours to look at
            for line in Path(f"/proc/{pid}/maps").read_bytes().splitlines():
                _, how, *_, name = line.split(None, 5)
                if how.endswith(b"s") and name.startswith(below):
                    return f"{os.fsdecode(name)} is mapped as shared memory by pid {pid}"
    for line in Path("/proc/net/unix").read_bytes().splitlines():
        if (name := line.split(None, 7)[-1]).startswith(below):
            return f"{os.fsdecode(name)} is a Unix socket in use"
    return None


def is_hosts(path: Path) -> bool:
    """Whether the volume that a directory is on is one that the host itself needs. Raises ``OSError``."""
    own = (Path(place) for place in ("/", "/tmp", "/usr", "/var", "/var/log", "/run", "/home"))  # noqa: S108 - looked at
    return device_of(path) in {device_of(place) for place in (*own, Path.home()) if place.is_dir()}


def floor(path: Path) -> int:
    """Bytes that have to stay free on the volume of a directory. Raises ``OSError``."""
    return max(FLOOR_BYTES, size(path) * FLOOR_PERCENT // 100) if is_hosts(path) else 0


def size(path: Path) -> int:
    """Bytes of the volume that a directory is on. Raises ``OSError``."""
    about = os.statvfs(path)
    return about.f_blocks * about.f_frsize


def free(path: Path, *, root: bool) -> int:
    """Bytes that may still be written there; by root, what is kept for it too. Raises ``OSError``."""
    about = os.statvfs(path)
    return (about.f_bfree if root else about.f_bavail) * about.f_frsize


def remount(path: Path, option: str) -> None:
    """Change an option of the volume mounted on a directory. Raises ``UnavailableError`` with what mount says."""
    _run("mount", "-o", f"remount,{option}", str(path))


def cover(path: Path) -> None:
    """Mount a directory or file on itself, read-only: others that are on its volume are not touched.

    Raises ``UnavailableError`` with what mount says; it may be mounted, and writable, then.
    """
    _run("mount", "--bind", str(path), str(path))
    _run("mount", "-o", "remount,bind,ro", str(path))


def unmount(path: Path) -> None:
    """Take away what is mounted on a directory: at once if nobody uses it, or else as soon as nobody does.

    By the system call and not by umount, which would look into the directory and wait for a helper that stands still.
    Raises ``UnavailableError`` if the kernel refuses.
    """
    call = ctypes.CDLL(None, use_errno=True).umount2
    if call(os.fsencode(path), _NO_FOLLOW) and call(os.fsencode(path), _NO_FOLLOW | _DETACH):
        raise UnavailableError(f"cannot be unmounted: {os.strerror(ctypes.get_errno())}.", where=str(path))


def disk_of(path: Path) -> str | None:
    """``major:minor`` of the whole disk under a directory; ``None`` if its volume is on none."""
    try:
        about = Path(f"/sys/dev/block/{device_of(path)}").resolve(strict=True)
    except OSError:
        return None
    whole = about.parent if (about / "partition").exists() else about
    return (whole / "dev").read_text(encoding="ascii").strip()


def sources(prefix: str) -> Iterator[Mount]:
    """Mounts whose source begins so, the newest first."""
    return (mount for mount in reversed(mounts()) if mount.source.startswith(prefix))


def _run(*command: str) -> None:
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise UnavailableError(f"{command[0]} is not installed.", hint="Install util-linux.")
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=_PROGRAM_S, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{' '.join(command)} did not end: {error}.") from None
    if done.returncode:
        raise UnavailableError(f"{' '.join(done.stderr.split()).rstrip('.') or command[0] + ' failed'}.")


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
