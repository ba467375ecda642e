"""A file of settings that a fault changes: kept as it was, put back to the byte unless somebody else has changed it.

The file is replaced, never written into: whoever reads it sees all of one or all of the other. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.state import durable
from executor.state.reading import read

Change = Callable[[str], str]
"""What the fault does to the text; it leaves a text alone that has the fault already, and raises for one it cannot."""
MOST_BYTES = 2**20


def look(path: str, change: Change) -> dict[str, Any]:
    """How the file is, for the record. Raises ``UnavailableError`` if it cannot be changed and put back."""
    file = Path(os.path.realpath(path))
    content, about = _content(file), _about(file)
    if content is None or about is None:
        raise UnavailableError("is not there.", where=str(file))
    after = _changed(file, content, change)
    if after == content:
        raise UnavailableError("is that way already, so nothing would change.", where=str(file))
    if about.st_nlink > 1:
        raise UnavailableError("has more than one name (hard links), so it is not replaced.", where=str(file))
    if not os.access(file.parent, os.W_OK) or os.geteuid() not in (0, about.st_uid):
        raise UnavailableError(
            "may not be replaced by this user; run Murphy as its owner, or as root.", where=str(file)
        )
    was = {"before": _digest(content), "after": _digest(after), "untouched": _touched(about)}
    return {"file": str(file), "was": was, "times": [about.st_atime_ns, about.st_mtime_ns]}


def require_seen(path: str, pid: int) -> None:
    """Raise ``UnavailableError`` if a process has another file in that place: a container's, where we see this host's.

    A file that is nowhere for the process may be mounted elsewhere for it, which is not looked for.
    """
    file = Path(os.path.realpath(path))
    try:
        here, there = file.lstat(), Path(f"/proc/{pid}/root{file}").lstat()
    except OSError:
        return
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        raise UnavailableError(f"is another file to process {pid}, which sees other directories.", where=str(file))


def prepare(path: str, change: Change, context: Context) -> dict[str, Any]:
    """Keep the file as it is, for our eyes only; returns its part of the record. Raises as ``look`` does."""
    looked = look(path, change)
    file, image = Path(looked["file"]), Path(context.scratch) / f"{context.mark}.image"
    content = _content(file)
    if content is None or _digest(content) != looked["was"]["before"]:
        raise UnavailableError("is being changed by somebody right now.", where=str(file))
    durable.write(image, content)
    return {**looked, "image": str(image), "place": str(file.with_name(f".{file.name}.{context.mark}"))}


def put(record: Record, change: Change) -> None:
    """Put the changed file in place. Raises ``UnavailableError`` if it is no longer as it was."""
    file = Path(record["file"])
    content = _content(file)
    if content is None or _digest(content) != record["was"]["before"]:
        raise UnavailableError("was changed by somebody since it was looked at; nothing is done.", where=str(file))
    _replace(record, _changed(file, content, change))


def active(record: Record, change: Change) -> bool | None:
    """Whether the file has the fault, or has been put back and not been read again yet."""
    file = Path(record["file"])
    try:
        content, about = _content(file), _about(file)
    except UnavailableError:
        return None
    if content is None or about is None:
        return False
    if _digest(content) == record["was"]["before"]:
        return _touched(about) != record["was"]["untouched"] and Path(record["image"]).exists()
    return _has(content, change)


def put_back(record: Record, change: Change) -> bool:
    """Put the file back as it was; whether it has to be read again.

    Raises ``UnavailableError`` if it still has the fault, and something else too that is not ours.
    """
    file = Path(record["file"])
    content = _content(file)
    if content is None:  # whoever took it away took the fault too
        return False
    if _digest(content) == record["was"]["before"]:
        return active(record, change) is True
    if _digest(content) == record["was"]["after"]:
        kept = _content(Path(record["image"]))
        if kept is None or _digest(kept) != record["was"]["before"]:
            raise UnavailableError("is lost, or not as it was kept, so nothing is put back.", where=record["image"])
        _replace(record, kept, times=record["times"])
        return True
    if _has(content, change):
        why = "was changed by somebody else while it had the fault, so it is not overwritten."
        hint = f"Take the fault out of it by hand, then run murphy recover; as it was before, it is {record['image']}."
        raise UnavailableError(why, where=str(file), hint=hint)
    return False


def tidy(record: Record) -> None:
    """Forget what was kept: the file is as it should be, and was read again."""
    for name in ("place", "image"):
        Path(record[name]).unlink(missing_ok=True)


def _replace(record: Record, content: bytes, times: list[int] | None = None) -> None:
    """Put other content in the file's place, with the mode, owner and attributes that it has now."""
    file, place = Path(record["file"]), Path(record["place"])
    try:
        about = file.stat()
        place.unlink(missing_ok=True)
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(descriptor, about.st_uid, about.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(about.st_mode))
            for name in os.listxattr(file):
                os.setxattr(descriptor, name, os.getxattr(file, name))
            if times:
                os.utime(descriptor, ns=(times[0], times[1]))
            os.fsync(descriptor)
        place.replace(file)
        durable.sync_directory(file.parent)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise UnavailableError(f"cannot be replaced: {error.strerror}.", where=str(file)) from error


def _changed(file: Path, content: bytes, change: Change) -> bytes:
    try:
        return change(content.decode()).encode()
    except UnicodeDecodeError:
        raise UnavailableError("holds no UTF-8 text.", where=str(file)) from None
    except UnavailableError as error:
        raise UnavailableError(error.message, where=str(file), hint=error.hint) from None


def _has(content: bytes, change: Change) -> bool:
    try:
        return change(content.decode()) == content.decode()
    except (UnicodeDecodeError, UnavailableError):
        return False


def _content(file: Path) -> bytes | None:
    """``None`` if it is not there."""
    try:
        return read(file, most=MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"cannot be read: {error.strerror}.", where=str(file)) from error


def _about(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"cannot be looked at: {error.strerror}.", where=str(file)) from error


def _touched(about: os.stat_result) -> list[int]:
    """Tells whether it is the very file of then, which nobody has touched since."""
    return [about.st_ino, about.st_ctime_ns]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
