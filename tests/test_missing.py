"""That nothing is left out in CI unseen: run by a pytest of its own, which has this project's rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
from tests.missing import missing, not_meant

@pytest.mark.skipif(True, reason="no nginx")
def test_marked(): ...
def test_skipped(): pytest.skip("no nginx")
def test_missing(): missing("no nginx")
def test_of_a_kernel(): missing("no netem", there_in="MURPHY_VM")
@pytest.fixture
def netem(): missing("no netem", there_in="MURPHY_VM")
def test_of_a_fixture(netem): ...
def test_not_meant(): not_meant("strikes an edge")
def test_run(): ...
"""
MODULE = """
import pytest
pytest.importorskip("there_is_no_such_module")
def test_run(): ...
"""


def outcome(path: Path, **environment: str) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-rfE",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.conftest",
    ]
    config = ["-c", os.devnull, "--rootdir", str(path)]
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "MURPHY_VM")}
    done = subprocess.run(
        [*command, *config, str(path)],
        env={**clean, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def some(tmp_path: Path) -> Path:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    return tmp_path


def test_a_user_may_have_less(some: Path) -> None:
    code, said = outcome(some)
    assert code == 0, said
    assert "1 passed, 7 skipped" in said


def test_in_ci_what_could_be_installed_fails_however_it_is_skipped(some: Path) -> None:
    code, said = outcome(some, CI="true")
    assert code == 1
    assert "2 failed, 1 passed, 3 skipped, 2 errors" in said, said  # a mark is seen before the test begins
    for name in ("some.py::test_marked", "some.py::test_skipped", "some.py::test_missing"):
        assert f"test_{name} - " in said
    assert re.search("ERROR .*test_module.py", said)
