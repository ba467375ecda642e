"""Part of the crash matrix: the rest is ``make crash``. A seed that fails can be drawn again with ``--seed``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {"watchdog", "parent_death", "server"}


@pytest.mark.timeout(600)
def test_nothing_is_left_wherever_a_run_is_struck(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "planner.cli.main", "selftest", "--json", "--keep", str(tmp_path / "kept")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout) if done.stdout else {}
    assert done.returncode == 0, f"{said.get('left')} {done.stderr} (seed {said.get('seed')})"
    assert said["residues"] == 0
    assert sum(said["cases"].values()) >= 30
    assert said["cases"]["instant"] >= 5
    assert set(said["alive"]) >= KINDS
    assert not (tmp_path / "kept").exists()
