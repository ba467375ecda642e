"""After a crash: undo what dead runs have left. Never touches a run whose executor lives and renews its leases."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass

from executor.errors import InputError, OwedRevertError, SafetyRefusalError, UnavailableError, words_of
from executor.model.wording import many_are
from executor.person import whoami
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.noted import undo_noted
from executor.undo.revert import Undone, undo_all

WHO = "recover"
AGAIN = "Run murphy recover again once there is room, or the disk can be written."


@dataclass(frozen=True)
class Recovery:
    """What undoing everything that was due has come to."""

    results: list[Undone]
    unwritten: str = ""
    """Why the journal did not take it, in one sentence, so that it goes on holding as owed what is undone."""
    altered: str = ""
    """What of the journal is not as it was written, so that there may be more to undo than it says."""


def recovery(home: Home) -> Recovery:
    """Undo everything that is due in a home: left by dead runs, lapsed, or owed; whatever failed stays owed.

    A full or read-only disk does not stop it: what the journal holds is read from a copy then. Nor does a damaged row:
    the others, and what is noted, are undone, and it is told of in ``altered``. Raises ``UnavailableError`` if it
    cannot even be opened; what is noted beside it is undone all the same, and what of that failed, or cannot be read,
    raises ``OwedRevertError``.
    """
    try:
        journal = Journal.to_undo(home)
    except UnavailableError as error:
        left = [result.error for result in undo_noted(home, by=WHO) if not result.reverted]
        left += [f"{path} cannot be read, and says what is to be undone" for path in undo_notes.unreadable(home)]
        if left:  # a unit that tries again must learn of it, and nobody else tells
            said = f"{len(left)} reverts are owed by what is noted beside the journal, first {left[0]}; and"
            hint = "murphy recover tries them again, and murphy recover --sweep looks for more."
            raise OwedRevertError(f"{said} {error.where}: {error.message}", hint=hint) from error
        raise
    with closing(journal):
        altered = _altered(journal)  # first, for undoing writes over it
        try:
            results, dead = _undo_due(journal, home)
        except UnavailableError as error:
            return Recovery(undo_noted(home, by=WHO), altered=words_of(error).rstrip("."))
        if unread := undo_notes.unreadable(home):  # by now only those of which no journal knows
            altered = altered or f"{unread[0]} cannot be read, and says what is to be undone"
        try:
            _write_down(journal, home, results, dead)
        except UnavailableError as error:
            return Recovery(results, f"{error.where}: {error.message}", altered)
    return Recovery(results, altered=altered)


def _altered(journal: Journal) -> str:
    """What is not as it was written. Whatever keeps that from being told keeps nothing from being undone."""
    try:
        return journal.altered()
    except Exception as error:  # noqa: BLE001 - a journal may be damaged in any way
        return f"whether it is as it was written cannot be told: {words_of(error).rstrip('.')}"


def recover(home: Home) -> list[Undone]:
    """The same, returning what became of each. Raises ``OwedRevertError`` where the journal could not take it."""
    found = recovery(home)
    if found.unwritten:
        raise OwedRevertError(f"{unnoted(found)} {found.unwritten}", hint=AGAIN)
    return found.results


def unnoted(found: Recovery) -> str:
    """What is to be said of a journal that could not be written."""
    owed = sum(not result.reverted for result in found.results)
    rest = f"{many_are(owed, 'revert')} still owed" if owed else "none is left on any target"
    return f"{many_are(len(found.results) - owed, 'fault')} undone, {rest}, but the journal could not be written:"


def recover_lapsed(journal: Journal, home: Home) -> list[Undone]:
    """The same with a journal that is open. Runs whose executor has died are ended as ``interrupted``.

    What is of another pid or time namespace is left as it is, and among the results as owed.
    """
    results, dead = _undo_due(journal, home)
    _write_down(journal, home, results, dead)
    return results


def _undo_due(journal: Journal, home: Home) -> tuple[list[Undone], list[str]]:
    """What became of all that is due, each once, and the runs that died."""
    home.clear_rehearsals()
    with journal.store.still():  # else a run that begins in between would seem to be nobody's
        rows, pending = journal.running(), journal.pending()
    alive = {row.run for row in rows if row.alive}
    dead = [row.run for row in rows if not (row.alive or row.elsewhere)]
    due = [injection for injection in pending if injection.run not in alive or injection.lapsed]
    # A hung executor may have gone on for a moment after others had undone its faults, and died then.
    doubtful = [injection for run in dead for injection in journal.reverted_by_others(run)]
    results = undo_all(journal, home, due, by=WHO)
    undo_all(journal, home, doubtful, by=WHO, again=True)
    seen = {result.injection.mark for result in results}
    noted = undo_noted(home, by=WHO)  # of a journal that was lost, or of a thread that came to its end too late
    return results + [result for result in noted if result.injection.mark not in seen], dead


def _write_down(journal: Journal, home: Home, results: list[Undone], dead: list[str]) -> None:
    """Raise ``UnavailableError`` if the journal does not hold in the end what became of them."""
    alive = {row.run for row in journal.running() if row.alive or row.elsewhere}
    undone = {result.injection.mark for result in results if result.reverted and result.injection.run not in alive}
    if unwritten := [injection.id for injection in journal.pending() if injection.mark in undone]:
        journal.reverted_all(unwritten, by=WHO, verified=True)  # there may be room by now
    for run in {result.injection.run for result in results} | set(dead):
        with suppress(InputError):  # a damaged row may name what is no run
            if run not in alive and not journal.pending(run) and not undo_notes.left(home, run):
                home.clear_scratch(run)  # before it is over: nobody comes back to a run that is
    for run in dead:
        journal.finish(run, "interrupted", who=WHO)
    if results or dead:
        owed = sum(not result.reverted for result in results)
        journal.note(WHO, "recovered", by=whoami(), undone=len(results) - owed, owed=owed, runs=dead)


def forget(home: Home) -> None:
    """Remove a home's state, if there is any, once all that its runs left is undone.

    Raises ``SafetyRefusalError`` while a run is under way or a revert is owed: the journal alone knows how to undo it.
    """
    if not home.is_made():
        return
    recover(home)
    with closing(Journal(home.journal)) as journal:
        kept = [row.run for row in journal.running()] + [str(injection) for injection in journal.pending()]
    kept += [str(note) for note in undo_notes.left(home)]
    if kept:
        raise SafetyRefusalError(
            "forgetting",
            measured=f"{kept[0]} is not over",
            limit="a home in which nothing is under way or owed",
            hint="Wait for its end, or run murphy recover.",
        )
    home.forget()
