"""State is forgotten only when nobody needs it any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.state.home import Home
from executor.state.journal import Journal, Reach
from executor.undo.recover import forget


def test_state_is_not_forgotten_while_a_run_is_under_way(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    journal = Journal(home.journal)
    journal.admit(
        "run-1",
        nonce="0" * 32,
        plan_digest="sha256:" + "0" * 64,
        environment="development",
        reach=Reach(1, 1, 1, ("a-1",)),
        check=lambda _rows: None,
        detail={},
    )
    with pytest.raises(SafetyRefusalError, match="run-1 is not over"):
        forget(home)
    assert home.journal.exists()
    journal.finish("run-1", "completed")
    journal.close()
    forget(home)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_home_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("", encoding="utf-8")
    forget(Home(tmp_path))
    forget(Home(tmp_path / "none"))
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
