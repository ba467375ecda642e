"""Starts the bundled shop as the user would, and ends it. Knows how to start it, not what is in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import planner
from executor.errors import UnavailableError

_START_S = 60.0
_STOP_S = 15.0


@dataclass(frozen=True)
class Shop:
    """A shop that is open."""

    starter: int
    """Pid of its starter; everything it runs descends from it."""
    annotations: Path
    """What its operator says of it."""
    directory: Path


@contextmanager
def open_shop(directory: Path | None = None) -> Iterator[Shop]:
    """A shop on free ports until the block ends; its database addresses are in the environment meanwhile.

    Raises ``UnavailableError`` with its last words if it cannot start; nothing of it runs then.
    """
    run = directory or Path(tempfile.mkdtemp(prefix="murphy-shop-"))
    command = [sys.executable, str(_source() / "start.py"), "--base-port", "0", "--run-dir", str(run)]
    with tempfile.TemporaryFile() as said:
        # a session of its own: Ctrl-C in the terminal ends the run in order first, and the shop after it
        process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True)
        before = dict(os.environ)
        try:
            state = _wait_until_open(process, run / "state.json", said)
            os.environ.update(state["environment"])
            yield Shop(process.pid, Path(state["annotations"]), run)
        finally:
            os.environ.clear()
            os.environ.update(before)
            _end(process)


def _source() -> Path:
    """The shop's files: beside the packages in a checkout, inside them in an installation."""
    package = Path(planner.__file__).parent
    found = next((p for p in (package.parent / "examples/shop", package / "examples/shop") if p.is_dir()), None)
    if found is None:
        raise UnavailableError("the bundled shop is not installed.", hint="pip install 'murphy-chaos[shop]'")
    return found


def _wait_until_open(process: subprocess.Popen[bytes], state: Path, said: Any) -> dict[str, Any]:
    deadline = time.monotonic() + _START_S
    while not state.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(0)
            last = said.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise UnavailableError(f"the shop did not open: {' '.join(last) or 'it said nothing'}")
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
