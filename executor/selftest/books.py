"""What a home's journal holds, read by one who takes no part in the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from executor.state.home import Home
from executor.state.journal import Injection, Journal


def pending(home: Home) -> list[Injection]:
    """Faults that are not undone, as far as the journal knows."""
    if not home.journal.exists():
        return []
    with _opened(home) as journal:
        return journal.pending()


def reverted_by(home: Home, run: str, who: str) -> set[int]:
    """Numbers of the faults that ``who`` has undone."""
    with _opened(home) as journal:
        return {injection.id for injection in journal.reverted_by(run, who)}


def unfinished(home: Home) -> list[str]:
    """What is not over, in words."""
    with _opened(home) as journal:
        left = [f"pending: {each} ({each.state})" for each in journal.pending()]
        return left + [f"running: {row.run}" for row in journal.running()]


@contextmanager
def _opened(home: Home) -> Iterator[Journal]:
    journal = Journal(home.journal)
    try:
        yield journal
    finally:
        journal.close()
