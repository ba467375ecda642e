"""What was begun in another container that is gone for good: somebody's word for what cannot be seen from here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress

from executor.clock import boottime, here, seen_at, take_for_gone
from executor.errors import SafetyRefusalError, UnavailableError
from executor.person import whoami
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal
from executor.state.rows import LEASE_S_MAX

WHO = "recover"


def begun_elsewhere(home: Home) -> dict[str, list[str]]:
    """What is not over and was begun in other pid or time namespaces, in words, by where that was.

    Where the journal cannot be read, the notes beside it say so. Raises ``SafetyRefusalError`` if a lease there still
    runs, for somebody renews it, or if a process is seen there.
    """
    rows, pending = [], []
    with suppress(UnavailableError), closing(Journal.to_undo(home)) as journal:
        rows, pending = journal.running(), journal.pending()
    runs = [row for row in rows if row.elsewhere]
    noted = [note for note in undo_notes.left(home) if note.elsewhere]
    marks = {note.mark for note in noted}
    faults = [*noted, *(each for each in pending if each.elsewhere and each.mark not in marks)]
    _refuse_leased(faults)
    found = defaultdict(list)
    for row in runs:
        found[row.boot_id].append(f"the run {row.run}, begun by process {row.pid} there")
    for fault in faults:
        found[fault.boot_id].append(str(fault))
    for place, begun in found.items():
        _refuse_seen(place, begun[0])
    return dict(found)


def declare_gone(home: Home, places: Mapping[str, Iterable[str]]) -> None:
    """Take it from whoever calls that no process is left in these places, which the audit trail gets to know.

    From then on this process undoes what was begun there, all but what lay in those processes themselves.
    """
    if not places:
        return
    with suppress(UnavailableError), closing(Journal(home.journal)) as journal:  # as with all undoing
        journal.note(
            WHO, "declared_gone", by=whoami(), places=[*places], of=[each for of in places.values() for each in of]
        )
    for place in places:
        take_for_gone(place)


def _refuse_leased(faults: Iterable[Injection]) -> None:
    for fault in faults:
        same_clock = fault.boot_id.rpartition(":")[2] == here().rpartition(":")[2]
        left = fault.expires - boottime()
        if same_clock and 0 < left <= LEASE_S_MAX:
            raise SafetyRefusalError(
                "gone",
                measured=f"the lease of {fault} runs for another {left:.0f} s, so it was renewed a short while ago",
                limit="a run whose leases have lapsed",
                hint="Run murphy recover where it runs, or wait until its lease has lapsed.",
            )


def _refuse_seen(place: str, begun: str) -> None:
    """A container that is paused, or whose executor has died, is not gone: what was struck in it is still there."""
    if seen := seen_at(place):
        raise SafetyRefusalError(
            "gone",
            measured=f"process {seen[0]} is seen where {begun}",
            limit="a container without any process",
            hint="Run murphy recover in it, or end it first.",
        )
