"""A disk that is full to the last byte, or can only be read, keeps no fault alive and hides nothing that is owed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.executor.scarce import CANNOT, CHECKS

pytestmark = pytest.mark.root


Done = Future["subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Done]]:
    """Four at a time: each waits more than it works."""
    with ThreadPoolExecutor(4) as pool:
        yield {check: pool.submit(attempt, check, tmp_path_factory.mktemp(check)) for check in CHECKS}
        pool.shutdown(cancel_futures=True)


def attempt(check: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.executor.scarce", check, str(directory)]
    root = Path(__file__).parents[3]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("check", CHECKS)
def test_on_such_a_disk(check: str, tried: dict[str, Done]) -> None:
    done = tried[check].result()
    if done.returncode == CANNOT and os.environ.get("CI") != "true":
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
