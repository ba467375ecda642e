"""A run that ends with an error says first what is owed, and asks the targets whether it truly is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.errors import OwedRevertError, UnavailableError
from executor.kernel import process
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.standing import owed_first
from tests.executor.injections import admit
from tests.executor.kit import until

FULL = UnavailableError("the disk is full.", where="/somewhere")


@pytest.fixture
def target() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"]) as made:
        yield made.pid
        made.kill()


@pytest.fixture
def home(tmp_path: Path, target: int) -> Iterator[Home]:
    made = Home.open(tmp_path / "home")
    with closing(Journal(made.journal)) as journal:
        admit(journal, "run-1")
        given = {"experiment": "e1", "trial": 1, "action": "a1", "kind": "service.hang", "subject": "base-1"}
        members = [[target, start_ticks(target)]]
        journal.arm("run-1", mark="m1", record={"members": members}, lease_s=60, **given)
        yield made


def end_with(home: Home, error: Exception, run: str = "run-1") -> None:
    with owed_first(home, [run]):
        raise error


def test_what_is_owed_is_said_first_and_as_it_is(home: Home, target: int) -> None:
    with pytest.raises(OwedRevertError, match="every fault is undone, but the journal holds 1 as owed, first") as owed:
        end_with(home, FULL)
    assert "the run ended with: /somewhere: the disk is full." in str(owed.value)
    assert owed.value.__cause__ is FULL
    os.kill(target, signal.SIGSTOP)
    until(lambda: process.state(target, start_ticks(target) or 0) == "T")
    with pytest.raises(OwedRevertError, match=r"1 faults may still be there, first service\.hang"):
        end_with(home, ValueError("odd"))


def test_what_is_owed_of_others_is_not_this_runs(home: Home) -> None:
    with pytest.raises(UnavailableError) as error:
        end_with(home, FULL, "run-2")
    assert error.value is FULL
