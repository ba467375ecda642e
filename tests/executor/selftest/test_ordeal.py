"""A case notices what it is there to notice: a fault that stays, and an undoing that nobody tells of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.selftest import script
from executor.selftest.cases import Case
from executor.selftest.ordeal import Ordeal
from executor.selftest.scene import Scene
from executor.state.home import Home
from executor.undo.recover import recover

POWER_CUT = Case("instant", 1, "power cut", event=4 + 2 * script.FAULTS)
"""When every fault is there."""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(script, "LIMITS", script.PATIENT)  # no lease lapses before the moment, however busy the machine
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_a_power_cut_without_a_next_start_leaves_residues(scene: Scene, tmp_path: Path) -> None:
    class NeverAgain(Ordeal):
        def _recover(self, *, all_told: bool = True) -> None:
            """Nobody starts anything again."""

        def _gone(self, when: str, left: object) -> None:
            assert callable(left)
            if words := left():
                self._residue(f"{when}: {'; '.join(words)}")

    place = tmp_path / "case"
    place.mkdir()
    result = NeverAgain(scene, place, POWER_CUT).run()
    assert sum(result.alive.values()) >= 3
    text = "\n".join(result.residues)
    assert "in the end: running: run-" in text
    assert "in the end: pending: " in text
    assert "file in scratch: " in text
    assert recover(Home(place / "home")) == []  # the case has cleaned up after itself


@pytest.mark.slow
def test_a_power_cut_is_made_good_by_the_next_start(scene: Scene, tmp_path: Path) -> None:
    place = tmp_path / "case"
    place.mkdir()
    result = Ordeal(scene, place, POWER_CUT).run()
    assert result.residues == []
    assert result.recovered
    assert sum(result.alive.values()) >= 3
