"""Each fault of a run is undone once in its process, whoever asks first."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.run.undoing import Undoing
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo import revert
from tests.executor.injections import Fake, injected


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(revert, "behaviour", lambda _kind: made)
    monkeypatch.setattr(revert, "BACKOFF_S", ())
    monkeypatch.setattr(revert, "_GONE_WITHIN_S", 0.1)
    return made


def test_many_who_ask_at_once_get_the_same_and_the_target_is_asked_once(
    home: Home, journal: Journal, fake: Fake
) -> None:
    faults = [injected(journal, fake, f"m{n}", f"base-{n}") for n in range(20)]
    undoing = Undoing(journal, home, by="executor")
    told: list[list[bool]] = []

    def ask() -> None:
        told.append([result.verified for result in undoing.undo(faults)])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told == [[True] * 20] * 8
    assert sorted(fake.undone) == sorted(f"m{n}" for n in range(20))
    assert journal.pending() == []


def test_what_failed_is_tried_again_and_what_was_undone_only_if_asked(home: Home, journal: Journal, fake: Fake) -> None:
    one = injected(journal, fake, "m1", "base-1")
    undoing = Undoing(journal, home, by="executor")
    real = fake.revert

    def broken(record: Mapping[str, Any]) -> None:
        raise PermissionError("not yours")

    fake.revert = broken
    assert "not yours" in undoing.undo([one])[0].error
    assert journal.injection(one.id).error == "PermissionError: not yours"
    assert not undoing.done(one)
    fake.revert = real
    assert undoing.undo([one])[0].reverted
    assert undoing.done(one)
    assert undoing.undo([one])[0].reverted
    assert fake.undone == ["m1"]
    assert undoing.undo([one], again=True)[0].reverted
    assert fake.undone == ["m1", "m1"]


def test_what_cannot_be_written_down_is_undone_and_written_down_later(
    home: Home, journal: Journal, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = injected(journal, fake, "m1", "base-1")
    undoing = Undoing(journal, home, by="executor")

    def full(*args: object, **kwargs: object) -> None:
        raise UnavailableError("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "reverted_all", full)
        assert undoing.undo([one])[0].verified
    assert fake.there == set()
    assert [i.mark for i in journal.pending()] == ["m1"]
    assert undoing.undo([one])[0].verified
    assert journal.pending() == []
    assert fake.undone == ["m1"]
