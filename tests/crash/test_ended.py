"""A self-test that somebody ends: its lanes end their scenes, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.kernel import process
from tests.executor.kit import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short() -> Iterator[Path]:
    """A temporary directory whose path leaves room for the sockets of the self-test."""
    with tempfile.TemporaryDirectory(prefix="murphy-ended-") as made:
        yield Path(made)


def test_a_temporary_directory_of_too_long_a_path_is_said(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "planner.cli.main", "selftest"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(deep)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"too long for the sockets" in done.stderr
    assert b"TMPDIR" in done.stderr
    assert list(deep.iterdir()) == []


def test_one_that_is_ended_leaves_nothing(short: Path) -> None:
    """In the midst of a case, and told so twice."""
    running = subprocess.Popen(
        [sys.executable, "-m", "planner.cli.main", "selftest"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(short)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: list(short.glob("murphy-selftest-*/lane-0/cases/*")), within_s=100)
        for _ in range(2):
            running.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        _, said = running.communicate(timeout=120)
        assert running.returncode == 130, said.decode()
        assert b"the cases under way come to their end" in said
        assert list(short.iterdir()) == []
        assert [pid for pid in process.pids() if str(short) in " ".join(process.command_line(pid))] == []
    finally:
        running.kill()
        running.communicate()
