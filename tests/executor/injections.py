"""Runs and injections in a journal, as the engine writes them, and a fault without a target."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

from executor.kernel import process
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.state.rows import Reach
from tests.executor.kit import Shelf, until

REACH = Reach(1, 1, 1, ("base-1",))


def admit(
    journal: Journal, run: str = "run-1", nonce: str | None = None, check: Any = lambda _rows: None, **more: int
) -> None:
    journal.admit(
        run,
        nonce=nonce or run,
        plan_digest="sha256:0",
        environment="development",
        reach=REACH,
        check=check,
        detail={"approver": "operator"},
        **more,
    )


def arm(journal: Journal, mark: str = "m1", *, run: str = "run-1", lease_s: float = 60.0, **more: Any) -> Injection:
    given = {"experiment": "e1", "trial": 1, "action": "a1", "kind": "service.hang", "subject": "base-1"}
    return journal.arm(run, mark=mark, lease_s=lease_s, **{**given, "record": {"pid": 1}, **more})


class Fake:
    """A fault that is there until reverted."""

    kind = "service.hang"

    def __init__(self) -> None:
        self.undone: list[str] = []
        self.there: set[str] = set()
        self.revert: Callable[[Mapping[str, Any]], None] = self._revert

    def active(self, record: Mapping[str, Any]) -> bool | None:
        return record["name"] in self.there

    def _revert(self, record: Mapping[str, Any]) -> None:
        self.undone.append(record["name"])
        self.there.discard(record["name"])


def injected(journal: Journal, fake: Fake, name: str, subject: str) -> Injection:
    armed = arm(journal, name, subject=subject)
    fake.there.add(name)
    journal.injected(armed.id, {"name": name})
    return journal.injection(armed.id)


def hang(journal: Journal, shelf: Shelf, *, lease_s: float) -> None:
    """As the engine does it."""
    found = shelf.found()
    assert found is not None
    record = {"pid": found.pid, "ticks": found.start_ticks, "members": [[found.pid, found.start_ticks]]}
    armed = arm(journal, record=record, lease_s=lease_s)
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    assert journal.injected(armed.id, record)
    until(shelf.stopped)


def nothing_left(home: Home) -> bool:
    journal = Journal(home.journal)
    try:
        return not journal.pending() and not journal.running() and not journal.altered()
    finally:
        journal.close()
