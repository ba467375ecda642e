"""A process that was started with libfaketime, and whose clock is set."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from executor.model.faults.resource import ClockSkew
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.hungry_kit import Hungry, Pair, pair

OFFSET_S = 300.0


def library() -> Path | None:
    """Where libfaketime is."""
    found = find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("vendor") / "libfaketime/src/libfaketime.so.1"


def no_library() -> str | None:
    """Why no process can be started with it."""
    return None if (found := library()) and found.exists() else "libfaketime is not installed"


def environment(file: Path) -> Mapping[str, str]:
    """What a process is started with whose time comes from a file."""
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


class Clocked(Pair):
    """Their clocks, held against the test's own."""

    file: Path

    def off(self, which: Hungry) -> list[float]:
        """How much later the wall clock and the monotonic clock of a process are than ours, seconds."""
        wall, monotonic = which.ask("clock")
        return [wall - time.time(), monotonic - time.monotonic()]

    def short(self, which: Hungry) -> bool:
        return abs(self.off(which)[0]) > OFFSET_S / 2

    def state(self) -> Any:
        files = {path.name: path.read_text(encoding="ascii") for path in self.file.parent.glob(f"{self.file.name}*")}
        return super().state() | {"files": files}

    def size(self) -> str:
        wall, monotonic = self.off(self.target)
        assert OFFSET_S - 5 < wall < OFFSET_S + 0.5, "read up to some seconds before it is compared"
        assert abs(monotonic) < 5
        return f"{OFFSET_S:g} s asked, {wall:.2f} s measured; the monotonic clock {abs(monotonic):.2f} s"


@contextmanager
def clocked(bench: Bench) -> Iterator[Any]:
    file = bench.path / "time"
    with pair(Clocked, environment=environment(file)) as made:
        made.file = file
        yield made


CASES = (Case("resource.clock_skew", ClockSkew(offset_s=OFFSET_S), clocked, unavailable=no_library),)
