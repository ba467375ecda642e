"""What most tests of the executor begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit
from tests.executor.kit import Shelf, shelves


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state directory of its own."""
    return Home.open(tmp_path / "home")


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    """Its journal, in which ``run-1`` of this process is under way."""
    made = Journal(home.journal)
    admit(made)
    yield made
    made.close()


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """A service that answers."""
    with shelves("base") as (made,):
        yield made
