"""Keys taken out of a cache, kept in a file of mode 0600 until they are put back. Standard library only.

Values may be secret or large, so they never go to the journal. One JSON line a key, durable before the key goes.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Kept(NamedTuple):
    """A key's value as Redis dumped it."""

    value: bytes
    expires_ms: int
    """Unix time at which it expires by itself; 0: never."""
    at_ms: int = 0
    """Unix time at which it was made to expire; 0: it was taken out at once."""


def add(shelf: Path, keys: Mapping[bytes, Kept]) -> None:
    """Add keys; durable on return. Raises ``OSError`` if they cannot be written; then take none out."""
    _append(shelf, ([_text(key), _text(kept.value), *kept[1:]] for key, kept in keys.items()))


def forget(shelf: Path, keys: Iterable[bytes]) -> None:
    """Note that keys were not taken out after all."""
    _append(shelf, ([_text(key)] for key in keys))


def _append(shelf: Path, rows: Iterable[list[str | int]]) -> None:
    descriptor = os.open(shelf, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
        stream.flush()
        os.fsync(stream.fileno())


def read(shelf: Path) -> dict[bytes, Kept]:
    """All keys that were taken out, as they were when last added; none if there is no such file."""
    found: dict[bytes, Kept] = {}
    if shelf.exists():
        with shelf.open(encoding="ascii") as stream:
            for line in stream:
                with suppress(ValueError):  # the last line, cut short by a crash: its key was not taken out
                    key, *kept = json.loads(line)
                    found.pop(b64decode(key), None)
                    if kept:
                        found[b64decode(key)] = Kept(b64decode(kept[0]), *kept[1:])
    return found


def _text(content: bytes) -> str:
    return b64encode(content).decode()
