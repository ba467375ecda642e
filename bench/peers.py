"""What stays behind when a tool is interrupted in mid-fault: Murphy beside Chaos Toolkit, on the same target.

``python -m bench.peers --chaos PATH [--repeat 5]``, where PATH is the ``chaos`` command (``make bench-peers`` installs
one). Each time a web server of our own is stopped (SIGSTOP) by the tool, with its undoing declared the way the tool
wants it, and the tool gets a signal while the server stands still. Looked at: whether the server still stands still
``WATCHED_S`` seconds later, and if not, how long that took.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from executor.selftest.parts import put
from executor.state.home import Home
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, system_of, until

WATCHED_S = 15.0
"""Well over Murphy's lease of three seconds here, and well under the fault's length."""
FAULT_S = 40.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ROOT = Path(__file__).parents[1]


@contextmanager
def murphy(shelf: Shelf, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run as ``murphy run`` does it."""
    home, system = Home.open(directory / "home"), system_of([shelf])
    plan = plan_of(system, (experiment_on(system, shelf.name, duration_s=FAULT_S),))
    put(directory, plan=plan, approval=approve(home, plan, LIMITS), system=system, limits=LIMITS)
    with _started([sys.executable, "-m", "bench.runner", str(directory), str(home.path)], ROOT) as process:
        yield process


@contextmanager
def chaostoolkit(shelf: Shelf, directory: Path, chaos: str, strategy: str) -> Iterator[subprocess.Popen[bytes]]:
    """An experiment of Chaos Toolkit that stops the server, waits, and declares its rollback."""
    found = shelf.found()
    assert found is not None

    def send(word: str) -> dict[str, object]:
        provider = {"type": "process", "path": "kill", "arguments": f"-{word} {found.pid}"}
        return {"type": "action", "name": word, "provider": provider}

    probe = {
        "type": "probe",
        "name": "answers",
        "tolerance": 200,
        "provider": {"type": "http", "url": f"http://127.0.0.1:{shelf.port}/", "timeout": 2},
    }
    experiment = {
        "title": "hang",
        "description": "a server stands still",
        "steady-state-hypothesis": {"title": "it answers", "probes": [probe]},
        "method": [{**send("STOP"), "pauses": {"after": FAULT_S}}],
        "rollbacks": [send("CONT")],
    }
    (directory / "experiment.json").write_text(json.dumps(experiment), encoding="utf-8")
    with _started([chaos, "run", "--rollback-strategy", strategy, "experiment.json"], directory) as process:
        yield process


@contextmanager
def _started(command: list[str], where: Path) -> Iterator[subprocess.Popen[bytes]]:
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=where, stdin=pipe, stdout=null, stderr=null, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def freed_after_s(tool: str, number: signal.Signals, chaos: str) -> float | None:
    """Seconds from the signal until the server goes on; ``None`` if it does not within ``WATCHED_S``."""
    with tempfile.TemporaryDirectory() as place, shelves("shelf") as (shelf,):
        directory = Path(place)
        begun = (
            murphy(shelf, directory)
            if tool == "Murphy"
            else chaostoolkit(shelf, directory, chaos, "always" if "always" in tool else "default")
        )
        with begun as process:
            until(shelf.stopped, within_s=60, what=f"{tool} did not stop the server")
            time.sleep(1)  # into the middle of the fault; the same for all
            process.send_signal(number)
            sent = time.monotonic()
            while shelf.stopped():
                if time.monotonic() - sent > WATCHED_S:
                    return None
                time.sleep(0.01)
            return time.monotonic() - sent


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.peers", description=__doc__)
    parser.add_argument("--chaos", required=True, help="Chaos Toolkit's command")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    chaos = str(Path(arguments.chaos).absolute())
    print(
        f"| tool | signal | target still stopped after {WATCHED_S:g} s | else freed after, median |\n|---|---|---|---|"
    )
    for tool in ("Murphy", "Chaos Toolkit", "Chaos Toolkit, rollbacks always"):
        for number in SIGNALS:
            took = [freed_after_s(tool, number, chaos) for _ in range(arguments.repeat)]
            freed = [seconds for seconds in took if seconds is not None]
            median = f"{statistics.median(freed):.2f} s" if freed else "–"
            print(f"| {tool} | {number.name} | {len(took) - len(freed)} of {len(took)} | {median} |", flush=True)


if __name__ == "__main__":
    main()
