"""A home of its own for each test, and one whole turn of the loop that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.state.home import Home
from tests.planner.turn import Turn, turned


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture(scope="session")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turn]:
    """Made once; whoever uses it changes nothing of it."""
    with turned(tmp_path_factory.mktemp("turn")) as made:
        yield made
