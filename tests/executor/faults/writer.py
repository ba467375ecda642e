"""Writes one block to a file through to the disk, again and again: ``writer.py FILE NOTES``; a note for each try."""

from __future__ import annotations

import errno
import os
import sys
import time


def main() -> None:
    path, notes = sys.argv[1:]
    said = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    os.pwrite(file, b"\0" * 4096, 0)
    os.fsync(file)
    while True:
        begun, word = time.monotonic(), "ok"
        try:
            os.pwrite(file, b"x" * 4096, 0)
            os.fsync(file)
        except OSError as error:
            word = errno.errorcode[error.errno or 0]
        os.write(said, f"{word} {time.monotonic() - begun:.4f}\n".encode())
        time.sleep(0.02)


if __name__ == "__main__":
    main()
