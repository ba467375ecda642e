"""Files that take space, named by our mark, and found again without a journal by a link in ``/run``.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from executor.clock import own_ticks
from executor.kernel import holding, volume
from executor.kernel.holding import Hold

_SIGNS: Final = Path("/run")
_SUFFIX: Final = ".fill"
_HEAD: Final = 256
_LEAST: Final = 4096


@dataclass(frozen=True)
class Fill:
    """A file of ours that was found by its link."""

    directory: Path
    mark: str

    def hold(self, left_s: float | None = None) -> Hold:
        """Who holds it; ``left_s`` as with ``holding.hold``. What is another user's cannot be told."""
        try:
            with file_of(self.directory, self.mark).open("rb") as stream:
                pid, ticks = stream.readline(_HEAD).split()
            return holding.hold(int(pid), int(ticks), left_s)
        except PermissionError:
            return "unwatched"
        except (OSError, ValueError):
            return "nobody"


def file_of(directory: Path, mark: str) -> Path:
    """Where the file of a fault is."""
    return directory / f".{mark}{_SUFFIX}"


def take(directory: Path, mark: str, wanted: int, leave: int, *, root: bool) -> None:
    """Make the file, so many bytes large, or as many as leave that much free; 0 for all of it. Raises ``OSError``.

    ``root``: what the volume keeps for root counts as free. What was taken when it raises stays until ``release``.
    """
    file = file_of(directory, mark)
    with suppress(OSError):  # another user than root has no place for it, and the journal to go by
        _sign(mark).symlink_to(file)
    descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{os.getpid()} {own_ticks()}\n".encode())
        _grow(descriptor, directory, wanted, leave, root=root)
    finally:
        os.close(descriptor)


def _grow(descriptor: int, directory: Path, wanted: int, leave: int, *, root: bool) -> None:
    """By as much as is free, or by half of that where the volume needs room to keep account of it."""
    taken, part = 0, 1.0
    while True:
        spare = volume.free(directory, root=root) - leave
        step = int(min(spare, wanted - taken if wanted else spare) * part) // _LEAST * _LEAST
        if step < _LEAST:
            return
        try:
            os.posix_fallocate(descriptor, taken, step)
            taken += step
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            part /= 2


def release(directory: Path, mark: str) -> None:
    """Remove the file. Idempotent."""
    file_of(directory, mark).unlink(missing_ok=True)
    with suppress(OSError):
        _sign(mark).unlink(missing_ok=True)


def made() -> Iterator[Fill]:
    """All files of ours that a link on this machine leads to."""
    for sign in sorted(_SIGNS.glob(f"murphy-*{_SUFFIX}")):
        mark = sign.name.removesuffix(_SUFFIX)
        with suppress(OSError):
            file = sign.readlink()
            if file == file_of(file.parent, mark):  # else somebody else made the link
                yield Fill(file.parent, mark)


def _sign(mark: str) -> Path:
    return _SIGNS / f"{mark}{_SUFFIX}"
