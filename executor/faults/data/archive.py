"""A backup's archive cut short, and put back as the very file that it was. Standard library only.

The whole one gets a second, hidden name beside it; then the cut one takes its place in one stroke. The whole one is
never removed: it takes the cut one's place again, also where somebody has given that another name meanwhile (a backup
that keeps the last few). Where the cut one is no more, and another archive is in its place, it stays beside that one.
"""

from __future__ import annotations

import os
import shutil
import stat
from itertools import islice
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.state import durable

FILES_MAX = 100_000
"""Of a backup that is a directory no more files are looked at."""
MOST_BYTES = 16 * 2**20
"""No more is copied than this; an archive of any size is cut short by it."""


def look(path: Path) -> dict[str, Any]:
    """Which archive, and how it is now. Raises ``UnavailableError`` if there is none that can be cut and put back."""
    archive = newest(path)
    about = archive.stat()
    if about.st_size < 2:
        raise UnavailableError("is too small to be cut.", where=str(archive))
    if not os.access(archive.parent, os.W_OK) or os.geteuid() not in (0, about.st_uid):
        raise UnavailableError(
            "may not be replaced by this user; run Murphy as its owner, or as root.", where=str(path)
        )
    size = min(about.st_size // 2, MOST_BYTES)
    if shutil.disk_usage(archive.parent).free < 2 * size:
        raise UnavailableError(f"has no room beside it for {size} bytes.", where=str(archive))
    whole = [about.st_ino, about.st_size, about.st_mtime_ns]
    return {"archive": str(archive), "whole": whole, "cut_bytes": size}


def names(record: Record, mark: str) -> dict[str, Any]:
    """Where the whole one is meanwhile, and where the cut one is made."""
    archive = Path(record["archive"])
    # Without the archive's name, which may be as long as a name can be.
    return {"aside": str(archive.with_name(f".{mark}")), "name": mark}


def cut(record: Record) -> None:
    """Put the cut one in place. Raises ``UnavailableError`` if the archive is not as it was looked at, or it fails."""
    archive, aside, made = Path(record["archive"]), Path(record["aside"]), _made(record)
    try:
        about = archive.stat()
        if [about.st_ino, about.st_size, about.st_mtime_ns] != record["whole"]:
            raise UnavailableError("was written since it was looked at; nothing is done.", where=str(archive))
        os.link(archive, aside)
        with archive.open("rb") as source, made.open("xb") as target:
            target.write(source.read(record["cut_bytes"]))
            target.flush()
            os.fchown(target.fileno(), about.st_uid, about.st_gid)
            os.fchmod(target.fileno(), about.st_mode & 0o7777)
            os.utime(target.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))
            os.fsync(target.fileno())
        made.replace(archive)
        durable.sync_directory(archive.parent)
    except OSError as error:
        raise UnavailableError(f"cannot be cut: {error.strerror}.", where=str(archive)) from error


def is_cut(record: Record) -> bool:
    """Whether the archive is the cut one, or that has another name there by now."""
    return Path(record["aside"]).exists() and _cut_one(record) is not None


def put_back(record: Record) -> Path | None:
    """Put the whole one in the cut one's place, or beside another archive that is there by now.

    Where it is, unless that is where it was. Raises ``UnavailableError`` if it cannot be moved.
    """
    archive, aside = Path(record["archive"]), Path(record["aside"])
    try:
        _made(record).unlink(missing_ok=True)
        if not aside.exists():
            return None
        kept = _cut_one(record)
        if kept is None:
            replaced = archive.exists() and not archive.samefile(aside)
            kept = archive.with_name(f"before-{record['name']}") if replaced else archive
        if archive.exists() and archive.samefile(aside):
            aside.unlink()  # a rename between two names of one file would do nothing
        else:
            aside.replace(kept)
        durable.sync_directory(archive.parent)
    except OSError as error:
        raise UnavailableError(f"cannot be put back: {error.strerror}.", where=str(archive)) from error
    return None if kept == archive else kept


def newest(path: Path) -> Path:
    """The file that was written last, there or in it. Raises ``UnavailableError`` if there is none."""
    try:
        files = [path] if path.is_file() else list(islice((f for f in path.rglob("*") if f.is_file()), FILES_MAX))
        return max(files, key=lambda file: (file.stat().st_mtime_ns, file.name)).resolve()
    except (OSError, ValueError):
        raise UnavailableError("holds no backup.", where=str(path)) from None


def _cut_one(record: Record) -> Path | None:
    """Where the cut one is: in the archive's place, else under another name beside it, if in that directory at all."""
    archive = Path(record["archive"])
    if _is_ours(archive, record):
        return archive
    others = islice(archive.parent.iterdir(), FILES_MAX) if archive.parent.is_dir() else ()
    alike = (file for file in others if file != _made(record) and _is_ours(file, record))
    return next((file for file in alike if _begins(Path(record["aside"]), file, record["cut_bytes"])), None)


def _begins(whole: Path, file: Path, size: int) -> bool:
    """Whether a file is the beginning of the whole one: size and time may be another file's too."""
    with whole.open("rb") as one, file.open("rb") as other:
        return one.read(size) == other.read(size)


def _is_ours(file: Path, record: Record) -> bool:
    _, _, written_ns = record["whole"]
    try:
        about = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(about.st_mode) and (about.st_size, about.st_mtime_ns) == (record["cut_bytes"], written_ns)


def _made(record: Record) -> Path:
    return Path(f"{record['aside']}.cut")
