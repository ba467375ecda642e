"""What is truly left, where the journal could not be told what became of it: the targets themselves are asked.

Standard library and behaviours only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager

from executor.errors import MurphyError, OwedRevertError, UnavailableError
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.recover import AGAIN
from executor.undo.revert import is_free


def standing(home: Home, injections: Sequence[Injection]) -> list[Injection]:
    """Those whose target still shows the fault, or cannot be asked."""
    return [injection for injection in injections if not is_free(undo_notes.as_noted(home, injection) or injection)]


@contextmanager
def owed_first(home: Home, runs: Collection[str]) -> Iterator[None]:
    """Whatever ends the block, that something of these runs is owed is what is raised, if it is: it must be acted on.

    Raises ``OwedRevertError`` then; else what the block raises.
    """
    try:
        yield
    except Exception as error:
        graver = _graver(home, runs, error)
        if graver is error:
            raise
        raise graver from error


def _graver(home: Home, runs: Collection[str], error: Exception) -> Exception:
    pending = [injection for injection in _pending(home) if injection.run in runs]
    if not pending or isinstance(error, OwedRevertError):
        return error
    left = standing(home, pending)
    if left:
        said = f"{len(left)} faults may still be there, first {left[0]}: {left[0].error or 'not undone yet'};"
    else:
        said = f"every fault is undone, but the journal holds {len(pending)} as owed, first {pending[0]};"
    return OwedRevertError(f"{said} the run ended with: {_words(error)}", hint=AGAIN)


def _words(error: Exception) -> str:
    if isinstance(error, MurphyError):
        return f"{error.where}: {error.message}".removeprefix(": ")
    return f"{type(error).__name__}: {error}."


def _pending(home: Home) -> Sequence[Injection]:
    try:
        with closing(Journal.to_undo(home)) as journal:
            return journal.pending()
    except UnavailableError:
        return undo_notes.left(home)
