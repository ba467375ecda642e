"""The bundled shop as tests see it: started once, on free ports, in a directory of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.shops import end_shop, read_state, start_shop


@pytest.fixture(scope="session")
def shop_directory() -> Iterator[Callable[[], Path]]:
    """Makes run directories that PostgreSQL can reach when it has to run as another user; pytest's own are closed."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="shop-test-")))
        made[-1].chmod(0o711)
        return made[-1] / "run"

    yield make
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def shop(shop_directory: Callable[[], Path]) -> Iterator[dict[str, Any]]:
    """A running shop with the fault proxy: its ``state.json``, as it was when all were well."""
    run = shop_directory()
    starter = start_shop(run)
    try:
        yield read_state(run)
    finally:
        end_shop(starter)
