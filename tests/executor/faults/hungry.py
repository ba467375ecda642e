"""A process that tries to get what a fault takes away: told what on standard input, one JSON object a line.

``python hungry.py NAME``. It answers with what it got, as JSON. Bounded in all that it does.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

MOST = 512
kept: list[bytearray] = []


def spin(s: float) -> float:
    """Processor time that it got, as a share of the time that passed."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < min(s, 3.0):
        pass
    return (time.process_time() - used) / (time.monotonic() - began)


def descriptors(count: int) -> list[object]:
    """How many files it could open, and the error that ended it."""
    opened: list[int] = []
    try:
        while len(opened) < min(count, MOST):
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return [len(opened), errno.errorcode[error.errno or 0]]
    finally:
        for number in opened:
            os.close(number)
    return [len(opened), ""]


def children(count: int) -> list[object]:
    """How many processes it could start, and the error that ended it."""
    started: list[int] = []
    reading, writing = os.pipe()
    said = ""
    try:
        while len(started) < min(count, 16):
            if (pid := os.fork()) == 0:
                os.close(writing)
                os.read(reading, 1)  # until the parent closes its end, or dies
                os._exit(0)
            started.append(pid)
    except OSError as error:
        said = errno.errorcode[error.errno or 0]
    os.close(writing)
    os.close(reading)
    for pid in started:
        os.waitpid(pid, 0)
    return [len(started), said]


def touch(path: str, times: int = 1, size: int = 4096) -> dict[str, object]:
    """Write files anew, read each, and remove them: how often each call failed with what, and the rest went well."""
    said: dict[str, dict[str, int]] = {"write": {}, "read": {}}
    for number in range(min(times, 2000)):
        name = f"{path}/hungry-{number % 4}"
        for what, how in (("write", _write), ("read", _read)):
            try:
                how(name, size)
                word = ""
            except OSError as error:
                word = errno.errorcode[error.errno or 0]
            said[what][word] = said[what].get(word, 0) + 1
    for number in range(4):
        with suppress(OSError):
            Path(f"{path}/hungry-{number}").unlink()
    return dict(said)


def _write(name: str, size: int) -> None:
    descriptor = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, b"x" * size)
    finally:
        os.close(descriptor)


def _read(name: str, size: int) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.read(descriptor, size)
    finally:
        os.close(descriptor)


def direct(path: str, times: int, size: int) -> float:
    """Bytes a second written past the page cache."""
    block = mmap.mmap(-1, size)
    descriptor = os.open(f"{path}/hungry-direct", os.O_CREAT | os.O_WRONLY | os.O_DIRECT, 0o644)
    began = time.monotonic()
    try:
        for number in range(min(times, MOST)):
            os.pwrite(descriptor, block, number % 4 * size)
    finally:
        os.close(descriptor)
    took = time.monotonic() - began
    Path(f"{path}/hungry-direct").unlink()
    return times * size / took


def hold(path: str) -> int:
    """Keep a file open from now on."""
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o644)


def grow(size: int, path: str) -> int:
    """Take memory from now on, and leave as much of a file in the cache, if a path is given."""
    kept.append(bytearray(b"x") * min(size, 2**27))
    if path:
        _write(path, size)
    return len(kept[-1])


def clock() -> list[float]:
    """The wall clock and the monotonic one."""
    return [time.time(), time.monotonic()]


def main() -> None:
    known = {how.__name__: how for how in (spin, descriptors, children, touch, direct, hold, grow, clock)}
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(known[told.pop("do")](**told)), flush=True)


if __name__ == "__main__":
    main()
