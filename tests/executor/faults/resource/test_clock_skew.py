"""Which processes' clocks can be set, and what a timestamp file that was there already says afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults.resource import ClockSkew
from tests.executor.faults.cases.clocks import Clocked, environment, no_library
from tests.executor.faults.hungry_kit import pair
from tests.missing import missing

HOW = behaviour("resource.clock_skew")
BACK = ClockSkew(offset_s=-3600)


@pytest.fixture(autouse=True)
def _library() -> Iterator[None]:
    if reason := no_library():
        missing(reason)
    yield


def test_an_offset_that_was_there_is_added_to_and_restored(tmp_path: Path) -> None:
    file = tmp_path / "time"
    file.write_text("+100s\n")
    file.chmod(0o640)
    with pair(Clocked, environment=environment(file)) as subject:
        record = HOW.prepare(BACK, subject.resolved(), Context(subject.system, "murphy-clock-1", str(tmp_path)))
        HOW.inject(record, 60)
        assert -3505 < subject.off(subject.target)[0] < -3499
        assert file.stat().st_mode & 0o777 == 0o640
        HOW.revert(record)
        assert 95 < subject.off(subject.target)[0] < 101
    assert file.read_text() == "+100s\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"LD_PRELOAD": ""}, "runs without libfaketime; start it with LD_PRELOAD=libfaketime"),
        ({"FAKETIME": "+5"}, "otherwise than from a file"),
        ({"FAKETIME_NO_CACHE": "0"}, "start it with FAKETIME_NO_CACHE=1"),
    ],
)
def test_what_was_started_otherwise_is_told_how(changed: dict[str, str], why: str, tmp_path: Path) -> None:
    with pair(Clocked, environment={**environment(tmp_path / "time"), **changed}) as subject:
        subject.target.ask("clock")  # it has come so far as to have loaded what it is started with
        assert why in (why_not(HOW, BACK, subject.resolved()) or "")


def test_a_file_that_others_use_or_that_says_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "time"
    with pair(Clocked, environment=environment(file)) as subject:
        subject.target.ask("clock")
        file.write_text("")
        assert "says no plain offset" in (why_not(HOW, BACK, subject.resolved()) or "")
        file.unlink()
        with pair(Clocked, environment=environment(file)) as other:
            other.target.ask("clock")
            why = f"process {other.target.process.pid} takes its time from {file} too"
            assert why in (why_not(HOW, BACK, subject.resolved()) or "")
