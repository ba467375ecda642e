"""Keeps a small real system running: ``python fleet.py DIRECTORY``; ends with its standard input, and all with it.

``DIRECTORY/config.json`` says what there is. A service that ends is started again after its ``restart_s``, unless it
has ended ``deaths`` times within half a minute.
"""

from __future__ import annotations

import ctypes
import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WITHIN_S = 30.0
TICK_S = 0.02


class Kept:
    """One process, kept running."""

    def __init__(self, argv: list[str], restart_s: float | None, deaths: int | None) -> None:
        self.argv, self.restart_s, self.deaths = argv, restart_s, deaths
        self.died: list[float] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(1, signal.SIGKILL),  # none outlives this program
        )

    def mind(self) -> None:
        """Start it again where it is time to."""
        assert self.process is not None
        if self.restart_s is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if not self.died or self.died[-1] < self.begun:
            self.died.append(now)
        recent = [at for at in self.died if now - at < WITHIN_S]
        if self.deaths is not None and len(recent) >= self.deaths:
            return
        if now - self.died[-1] >= self.restart_s:
            self.begin()

    def begin(self) -> None:
        self.begun = time.monotonic()
        self.start()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def main() -> None:
    """Start all, keep all, end all."""
    directory = Path(sys.argv[1])
    config = directory / "config.json"
    told: dict[str, Any] = json.loads(config.read_text())
    python = sys.executable
    kept = [Kept([python, "-m", "executor.proxy", "--config", str(directory / "proxy.json")], None, None)]
    kept += [
        Kept([python, str(HERE / "service.py"), str(config), name], service["restart_s"], service["deaths"])
        for name, service in told["services"].items()
    ]
    try:
        for each in kept:
            each.begin()
        while not select.select([sys.stdin], [], [], TICK_S)[0]:
            for each in kept:
                each.mind()
    finally:
        for each in kept:
            each.end()


if __name__ == "__main__":
    main()
