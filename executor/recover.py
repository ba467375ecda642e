"""After a crash: undo what dead runs have left. Never touches a run whose executor lives and renews its leases."""

from __future__ import annotations

from executor import undo_notes
from executor.errors import SafetyRefusalError, UnavailableError
from executor.home import Home
from executor.journal import Journal
from executor.noted import undo_noted
from executor.revert import Undone, undo_all

WHO = "recover"


def recover(home: Home) -> list[Undone]:
    """Undo everything that is due in a home: left by dead runs, lapsed, or owed; what ``murphy recover`` does.

    Returns what became of each; whatever failed stays owed. Raises ``UnavailableError`` if the journal cannot be used;
    what is noted beside it is undone then all the same.
    """
    try:
        journal = Journal(home.journal)
    except UnavailableError:
        undo_noted(home, by=WHO)
        raise
    try:
        return recover_lapsed(journal, home)
    finally:
        journal.close()


def recover_lapsed(journal: Journal, home: Home) -> list[Undone]:
    """The same with a journal that is open. Runs whose executor has died are ended as ``interrupted``."""
    rows = journal.running()
    alive = {row.run for row in rows if row.alive}
    dead = [row.run for row in rows if not row.alive]
    due = [injection for injection in journal.pending() if injection.run not in alive or injection.lapsed]
    # A hung executor may have gone on for a moment after the watchdog had undone its faults, and died then.
    doubtful = [injection for run in dead for injection in journal.reverted_by(run, "watchdog")]
    results = undo_all(journal, home, due, by=WHO)
    undo_all(journal, home, doubtful, by=WHO, again=True)
    results += undo_noted(home, by=WHO)  # of a journal that was lost, or of a thread that came to its end too late
    for run in {result.injection.run for result in results} | set(dead):
        if run not in alive and not journal.pending(run) and not undo_notes.left(home, run):
            home.clear_scratch(run)  # before it is over: nobody comes back to a run that is
    for run in dead:
        journal.finish(run, "interrupted", who=WHO)
    return results


def forget(home: Home) -> None:
    """Remove a home's state, if there is any, once all that its runs left is undone.

    Raises ``SafetyRefusalError`` while a run is under way or a revert is owed: the journal alone knows how to undo it.
    """
    if not home.is_made():
        return
    recover(home)
    journal = Journal(home.journal)
    try:
        kept = [row.run for row in journal.running()] + [str(injection) for injection in journal.pending()]
    finally:
        journal.close()
    kept += [str(note) for note in undo_notes.left(home)]
    if kept:
        raise SafetyRefusalError(
            "forgetting",
            measured=f"{kept[0]} is not over",
            limit="a home in which nothing is under way or owed",
            hint="Wait for its end, or run murphy recover.",
        )
    home.forget()
