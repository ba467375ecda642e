"""The boundaries at which a process of ours can be made to stand still, so that it can be struck right there."""

from __future__ import annotations

import importlib
import itertools
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

JOURNAL = ("admit", "occupy", "note", "arm", "injected", "renew", "reverted_all", "owe", "finish")
"""Everything that is written to the journal."""
NOTES = ("keep", "making", "made", "drop")
"""What is written beside the journal, so that a fault can be undone without it."""
BEHAVIOUR = ("inject", "revert")
"""What is done to a target, between two writes."""


@dataclass(frozen=True)
class Boundary:
    """Right before or after one call, counted from 1 within one process."""

    call: str
    before: bool
    nth: int = 1

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'} {self.call} {self.nth}"

    @classmethod
    def parse(cls, text: str) -> Boundary:
        """The boundary that ``str`` has written."""
        side, call, nth = text.split()
        return cls(call, side == "before", int(nth))


def stand_still_at(boundary: Boundary) -> None:
    """Let this process stop itself there: every thread of it stands until it gets SIGCONT, or an end."""
    count = itertools.count(1)
    for owner in _owners(boundary.call):
        if hasattr(owner, boundary.call):
            setattr(owner, boundary.call, _stopping(getattr(owner, boundary.call), boundary, count))


def _owners(call: str) -> list[Any]:
    if call in JOURNAL:
        return [importlib.import_module("executor.state.journal").Journal]
    if call in NOTES:
        return [importlib.import_module("executor.state.undo_notes")]
    return list(importlib.import_module("executor.faults.registry").BEHAVIOURS)


def _stopping(real: Callable[..., Any], boundary: Boundary, count: itertools.count[int]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        here = next(count) == boundary.nth
        if here and boundary.before:
            _stop()
        result = real(*arguments, **named)
        if here and not boundary.before:
            _stop()
        return result

    return wrapped


def _stop() -> None:
    # To this very thread, which takes it before it returns from the call; to the process, another thread might take it
    # first and this one would run on for a moment.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
