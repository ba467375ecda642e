"""Starting and ending the bundled shop from tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SHOP = Path(__file__).parents[2] / "examples" / "shop"
READY_S = 90
ENDED_S = 30


def start_shop(run: Path, *options: str) -> subprocess.Popen[str]:
    """A starter, ready once its state file is there. Whoever starts it ends it. Raises if it does not come up."""
    argv = [sys.executable, str(SHOP / "start.py"), "--base-port", "0", "--run-dir", str(run), *options]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SHOP.parents[1])}
    starter = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + READY_S
    while not (run / "state.json").exists():
        if starter.poll() is not None or time.monotonic() > deadline:
            starter.terminate()
            raise AssertionError(f"the shop did not start: {starter.communicate(timeout=ENDED_S)[1]}")
        time.sleep(0.05)
    return starter


def end_shop(starter: subprocess.Popen[str]) -> str:
    """End it in order; what it had to say on standard error."""
    starter.terminate()
    return starter.communicate(timeout=ENDED_S)[1]


def read_state(run: Path | str) -> dict[str, Any]:
    """The shop's state as it is now: processes get other pids when they are restarted."""
    state: dict[str, Any] = json.loads((Path(run) / "state.json").read_text(encoding="utf-8"))
    return state
