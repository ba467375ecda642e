"""Killed at any system call of an injection, the executor leaves the target untouched, or its revert on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.at_system_calls import FAULTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("fault", "cases"),
    [("hang", 5), *(pytest.param(name, 0, marks=pytest.mark.slow) for name in FAULTS)],
)
@pytest.mark.timeout(900)
def test_what_is_touched_can_be_undone(fault: str, cases: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.crash.at_system_calls", str(tmp_path), fault, str(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["wrong"] == []
    assert said["calls"] >= 50, "the writing down alone makes as many"
    assert said["cases"] >= (cases or said["calls"])
