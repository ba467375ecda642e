"""Parts of the crash matrix: the rest is ``make crash``. A seed that fails can be drawn again with ``--seed``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from executor.kernel import redirect

ROOT = Path(__file__).parents[2]
KINDS = {"watchdog", "parent_death", "server"} | ({"kernel"} if redirect.unavailable() is None else set())
A_FEW = ("--boundaries", "0", "--undoing", "0", "--troubles", "1", "--instants", "3")


def struck(tmp_path: Path, module: str, *options: str) -> dict[str, Any]:
    """What a self-test says that has left nothing."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options, "--keep", str(tmp_path / "kept")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    assert done.returncode == 0, f"{said.get('left')} {done.stderr} (seed {said.get('seed')})"
    assert said["residues"] == 0
    assert not (tmp_path / "kept").exists()
    return said


@pytest.mark.timeout(600)
def test_nothing_is_left_after_some_troubles_and_at_some_instants(tmp_path: Path) -> None:
    said = struck(tmp_path, "executor.selftest", *A_FEW)
    assert sum(said["cases"].values()) >= 10
    assert set(said["alive"]) & KINDS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_left_wherever_a_run_is_struck(tmp_path: Path) -> None:
    said = struck(tmp_path, "planner.cli.main", "selftest", "--json")
    assert sum(said["cases"].values()) >= 30
    assert said["cases"]["instant"] >= 5
    assert set(said["alive"]) >= KINDS
