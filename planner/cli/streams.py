"""Standard streams that nobody's full disk or closed window can make raise: a run must end in order. Light to load."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO


class _Lasting(io.FileIO):
    """Takes everything; what cannot be written any more is dropped, from the first time on."""

    lost: OSError | None = None

    def write(self, content: object, /) -> int:
        """Write, or drop it."""
        if self.lost is None:
            try:
                return super().write(content) or 0  # type: ignore[arg-type]
            except OSError as error:
                self.lost = error
        return memoryview(content).nbytes  # type: ignore[arg-type]


def secure() -> None:
    """Put such streams in the place of standard output and error, and the null device where one is closed."""
    for number in range(3):  # before a file of ours gets that number
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = _lasting(1, sys.stdout)
    sys.stderr = _lasting(2, sys.stderr)


def lost() -> str:
    """Why not all of standard output could be written; empty if it was, or its reader has only gone."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.lost if isinstance(raw, _Lasting) else None
    return "" if error is None or error.errno == errno.EPIPE else str(error.strerror)


def _lasting(number: int, before: TextIO | None) -> TextIO:
    encoding, errors = (before.encoding, before.errors) if before else ("utf-8", "replace")
    raw = _Lasting(number, "wb", closefd=False)
    at_once = number == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=at_once)
