"""A run that is not there is told with those that are."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import InputError
from executor.state.home import Home
from planner import runs
from planner.report.run import load


def test_before_the_first_run_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run yet"):
        load(Home.open(tmp_path), "run-1", ())


def test_an_unknown_run_names_the_latest_that_are_known(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    for number in range(runs.SHOWN_MAX):
        (home.run_dir(f"run-{number:04x}") / "evidence.json").touch()
    said = str(runs.unknown(home, "run-dead"))
    assert said.startswith("there is no finished run named run-dead. There are run-")
    assert "run-0000" in said
    assert "run-0009" in said
    (home.run_dir("run-00ff") / "evidence.json").touch()
    said = str(runs.unknown(home, "run-dead"))
    assert "The latest are" in said
    assert said.count("run-0") == runs.SHOWN_MAX
