"""What `murphy demo --forget` may remove; the demo itself is run by `make smoke`."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import InputError
from executor.safety.pem import key_file, write_key
from executor.safety.signing import create_key
from executor.state.home import Home
from planner.cli.demo import _opened
from planner.demo.loop import OPERATOR


def test_a_demo_forgets_what_a_demo_has_made(tmp_path: Path) -> None:
    home = _opened(tmp_path / "demo", forget=False)
    create_key(home, OPERATOR)
    assert _opened(tmp_path / "demo", forget=False).journal.exists()
    assert not _opened(tmp_path / "demo", forget=True).journal.exists()
    assert not _opened(tmp_path / "demo", forget=True).journal.exists()


def test_it_forgets_nobody_elses_state(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    create_key(home, "alice")
    assert _opened(home.path, forget=False) == home, "a demo may work in it"
    link = tmp_path / "checkout" / "demo"  # as a checkout may bring along
    link.parent.mkdir()
    link.symlink_to(home.path)
    for path in (home.path, link):
        with pytest.raises(InputError, match="this home trusts the key alice"):
            _opened(path, forget=True)
    assert home.journal.exists()


def test_it_forgets_no_key_that_counts_elsewhere(tmp_path: Path) -> None:
    home = _opened(tmp_path / "demo", forget=False)
    create_key(home, OPERATOR)
    write_key(key_file(home, "alice"))
    with pytest.raises(InputError, match="this home keeps the key alice"):
        _opened(home.path, forget=True)
    assert key_file(home, "alice").exists()
