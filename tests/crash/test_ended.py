"""A self-test that somebody ends: its lanes end their scenes, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from executor.kernel import process
from tests.executor.kit import until

ROOT = Path(__file__).parents[2]


def test_one_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """In the midst of a case, and told so twice."""
    running = subprocess.Popen(
        [sys.executable, "-m", "planner.cli.main", "selftest"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: list(tmp_path.glob("murphy-selftest-*/lane-0/cases/*")), within_s=100)
        for _ in range(2):
            running.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        _, said = running.communicate(timeout=120)
        assert running.returncode == 130, said.decode()
        assert b"the cases under way come to their end" in said
        assert list(tmp_path.iterdir()) == []
        assert [pid for pid in process.pids() if str(tmp_path) in " ".join(process.command_line(pid))] == []
    finally:
        running.kill()
        running.communicate()
