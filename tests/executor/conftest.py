"""What most tests of the executor begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.model.plan import Plan
from executor.model.system import System
from executor.run import admission
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


@pytest.fixture
def pair() -> Iterator[tuple[Shelf, Shelf]]:
    """``base``, and ``front`` which needs it."""
    with shelves("base", "front") as (base, front):
        yield base, front


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the system is well is not asked before a run; that has tests of its own."""

    async def well(plan: Plan, system: System) -> None:
        return None

    monkeypatch.setattr(admission, "healthy", well)
