"""After a halt: wait until every fault is undone, and undo what nobody else does. Standard library only.

It goes through no service and no event loop, and needs the journal as little as it can: notes beside it and the targets
say the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from executor.errors import UnavailableError
from executor.safety.flag import LOOK_S
from executor.safety.halt import BUSY_S
from executor.state import anchor, undo_notes
from executor.state.altered import refuse_cut
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.undo.noted import Lost
from executor.undo.revert import Undone, is_free, undo_all

Found = TypeVar("Found", bound=Injection)
WHO = "halt"
GRACE_S = 1.5
"""How long executors and their watchdogs have, before what is left is undone here."""
MAKING_S = 5.0
"""How long a fault is waited for after that which a living process is still making: it is there, and undone, later."""


def settled(home: Home, *, grace_s: float = GRACE_S, making_s: float = MAKING_S) -> list[str]:
    """Wait until no fault of any run is left; what nobody has undone within ``grace_s`` seconds is undone here.

    What a living process is still making then may be there only later: it is waited for ``making_s`` seconds more.
    It asks the notes beside the journal and the targets, so that it needs no journal. Returns, in words, what is still
    owed, or being made. Raises ``UnavailableError`` if nothing is as far as is noted, but a note or the journal cannot
    be read, or that is another than was written.
    """
    journal, why_not = _opened(home)
    with closing(journal):
        results = _undo(home, journal, _awaited(lambda: _left(home, journal), grace_s))
        making = {note.mark for note in _making(home)}
        late = _awaited(lambda: _making(home), making_s)
        results = [result for result in results if result.injection.mark not in making]  # that was too early to tell
        made = [note for note in undo_notes.left(home) if note.mark in making and not note.being_made]
        results += _undo(home, journal, made)
        owed = [result.error for result in results if not result.reverted]
        owed += [
            f"{note} is still being made by process {note.holder}, which undoes it when it is there" for note in late
        ]
    if why_not is None and (unread := undo_notes.unreadable(home)):  # of which no journal knows
        why_not = UnavailableError("it cannot be read, and says what is to be undone.", where=str(unread[0]))
    if why_not is not None and not owed:
        raise why_not
    return owed


def _opened(home: Home) -> tuple[Journal, UnavailableError | None]:
    """The journal, and why there may be more to undo than it says."""
    mark, why_not, place = None, None, anchor.place(home.journal)
    try:
        mark = anchor.read(place)  # before the journal, which may grow meanwhile
    except (OSError, ValueError) as error:
        why_not = UnavailableError(f"the audit trail's anchor cannot be read: {error}.", where=str(place))
    try:
        journal = Journal.to_undo(home, busy_s=BUSY_S)
    except UnavailableError as error:
        return Lost(), error
    try:
        refuse_cut(journal.store, mark)
    except UnavailableError as error:
        why_not = error
    return journal, why_not


def _awaited(look: Callable[[], Sequence[Found]], within_s: float) -> Sequence[Found]:
    """What is still left after so many seconds, or nothing as soon as nothing is."""
    deadline = time.monotonic() + within_s
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return left


def _making(home: Home) -> list[undo_notes.Note]:
    return [note for note in undo_notes.left(home) if note.being_made]


def _left(home: Home, journal: Journal) -> list[Injection]:
    """What is to be undone: what is noted, and what only the journal holds and the target shows."""
    noted = {note.mark: note for note in undo_notes.left(home)}
    return [*noted.values(), *(each for each in _pending(journal) if each.mark not in noted and not is_free(each))]


def _pending(journal: Journal) -> list[Injection]:
    try:
        return journal.pending()
    except UnavailableError:
        return []


def _undo(home: Home, journal: Journal, left: Sequence[Injection]) -> list[Undone]:
    numbers = {injection.mark: injection.id for injection in _pending(journal)} if left else {}
    known = [replace(each, id=numbers[each.mark]) for each in left if each.mark in numbers]
    # The numbers of the others are those of a journal that was lost.
    others = [replace(each, id=number) for number, each in enumerate(left) if each.mark not in numbers]
    return undo_all(journal, home, known, by=WHO) + undo_all(Lost(), home, others, by=WHO)
