"""Emergency restoration: undo whatever carries our mark, without a journal if need be. ``murphy recover --sweep``.

By the journal if it can be used, then by the notes beside it (dead services are started again by their recorded
command), then by what is found on this machine: helpers without a holder, nftables tables, cgroups, mounts, orphaned
watchdogs, files; and by what engines of containers and QEMUs hold for us. A run that goes on is spared and named: its
process lives, does not stand still and renews its leases, or, where none can be seen, has a watchdog
(``kernel.holding``). A process that stands still may go on later: it finds undone then what it would have undone. What
no mark of ours can show is named too. Standard library and behaviours only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import closing, suppress

from executor.clock import here, is_elsewhere
from executor.errors import InputError, MurphyError, UnavailableError
from executor.kernel import child, leftovers, netem, netns, nft
from executor.person import whoami
from executor.state import undo_notes
from executor.state.altered import lost
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.rows import ELSEWHERE, mark_stem
from executor.undo.guardian import watchers
from executor.undo.managers import BLIND, engine, sweep_managers
from executor.undo.noted import undo_noted
from executor.undo.recover import recovery
from executor.undo.revert import Undone
from executor.undo.swept import Swept, left_alone, line

WHO = "sweep"
A_PROCESS = "a living process"


def sweep(home: Home, elsewhere: Callable[[Set[str]], Iterable[Swept]] = lambda _: ()) -> list[Swept]:
    """Undo, end and remove all of ours that no living run holds; returns what was found. Blocks for seconds.

    ``elsewhere`` does the same where this machine's own means do not reach, given the marks that are held.

    Works on a home that can only be read, or is not there. Raises nothing for what it cannot undo: that is ``owed``.
    Raises ``UnavailableError`` where nothing can be, since processes are not what ``/proc`` calls them.
    """
    here()
    found = [*_by_journal(home), *_by_notes(home)]
    notes = undo_notes.left(home)
    held = {note.mark for note in notes if note.held or note.elsewhere}
    leases = {note.mark: note.left_s for note in notes}
    for step in (
        _helpers(held, leases),
        _tables(held),
        _queues(held, leases),
        _places(held, leases),
        elsewhere(held),
        sweep_managers(),
        _watchdogs(home),
    ):
        found += step
    found += _files(home, {one.mark for one in found if one.outcome in ("spared", "unwatched")})
    _write_down(home, found)
    return [*found, Swept("unseen", BLIND.format(engine=engine()))]


def _by_notes(home: Home) -> Iterator[Swept]:
    yield from map(_told, undo_noted(home, by=WHO))
    for note in undo_notes.left(home):
        if note.held:
            yield Swept("spared", f"{note}, which process {note.holder} holds", mark=note.mark)
    for path in undo_notes.unreadable(home):
        yield Swept("owed", f"{path} cannot be read, and says what is to be undone")
    if home.path.exists() and not os.access(home.runs, os.R_OK | os.X_OK):
        yield Swept("unseen", f"{home.runs} can only be looked at by its owner, or root")


def _by_journal(home: Home) -> list[Swept]:
    try:
        if not home.journal.stat().st_size:
            return [_unused(home, "it is empty", grave=bool(lost(home.journal)))]
        Journal.to_undo(home).close()  # raises before anything is undone, so that the notes tell of it
        found = recovery(home)
    except FileNotFoundError:
        return [_unused(home, "it is not there", grave=bool(lost(home.journal)))]
    except Exception as error:  # noqa: BLE001 - a journal may be damaged in any way, and undoing goes on
        return [_unused(home, line(error), grave=True)]
    said = list(map(_told, found.results))
    if found.unwritten:
        said.append(Swept("owed", f"the journal could not be written: {found.unwritten.rstrip('.')}"))
    if found.altered:
        said.append(Swept("unseen", f"what {home.journal} may have held: {found.altered.rstrip('.')}", grave=True))
    return said


def _unused(home: Home, why: str, *, grave: bool) -> Swept:
    said = f"{home.journal} cannot be used ({why}); the notes beside it say what is to be undone"
    return Swept("unseen", said, grave)


def _told(result: Undone) -> Swept:
    return Swept("done", f"undone: {result.injection}") if result.reverted else Swept("owed", result.error)


def _helpers(held: set[str], leases: dict[str, float]) -> Iterator[Swept]:
    """End the helpers that nobody holds; the others' marks are added to ``held``, their leases to ``leases``."""
    for helper in child.helpers():
        mark = helper.lease.deadline.name.removesuffix(child.SUFFIX)
        name = f"helper {helper.module} of {mark} (process {helper.found.pid})"
        if helper.lease.held:
            held.add(mark)
            leases[mark] = max(leases.get(mark, 0.0), helper.lease.left_s())
            yield Swept("spared", f"{name}, which process {helper.lease.holder} holds", mark=mark)
            continue
        if is_elsewhere(helper.found.pid):
            held.add(mark)
            yield Swept("unwatched", f"{name}: {ELSEWHERE}", mark=mark)
            continue
        try:
            child.end(helper.lease.deadline)
            yield Swept("done", f"ended: {name}")
        except OSError as error:
            yield Swept("owed", f"{name} cannot be ended: {line(error)}")


def _tables(held: set[str]) -> Iterator[Swept]:
    """In our own network namespace and in every other that can be entered."""
    if os.geteuid() != 0:
        yield Swept("unseen", "nftables tables can only be looked at by root")
    elif nft.installed():
        for net in (None, *netns.known()):
            yield from _tables_in(net, {nft.name_of(mark): mark for mark in held})


def _tables_in(net: int | None, held: dict[str, str]) -> Iterator[Swept]:
    """``held``: marks by the names of their tables."""
    try:
        tables = nft.tables(net)
    except nft.NotThereError:  # the namespace has gone meanwhile
        return
    except UnavailableError as error:
        where = f" of network namespace {net}" if net else ""
        yield Swept("owed", f"nftables tables{where} cannot be looked at: {line(error)}")
        return
    for table in tables:
        try:
            hold = "held" if table.name in held else table.hold()
            if left := left_alone(hold, f"nftables table {table}", A_PROCESS, held.get(table.name, table.name)):
                yield left
                continue
            table.remove()
            yield Swept("done", f"removed: nftables table {table}")
        except UnavailableError as error:
            yield Swept("owed", f"nftables table {table} cannot be removed: {line(error)}")


def _queues(held: Set[str], leases: Mapping[str, float]) -> Iterator[Swept]:
    """Of netem, in our own network namespace and in every other that can be entered."""
    marks = {netem.handle_of(mark): mark for mark in {*leases, *held}}
    if os.geteuid() != 0 or netns.program("tc") is None:
        return
    for net in (None, *netns.known()):
        try:
            for handle in netem.left(net):
                name = f"queue {handle}{f' in network namespace {net}' if net else ''}"
                mark = marks.get(handle, "")
                hold = "held" if mark in held else netem.hold(net, handle, leases.get(mark))
                if hold is None:
                    nobody = f"{name}, of which nothing says who has made it; tc qdisc del dev DEVICE root removes it"
                    yield Swept("unwatched", nobody)
                    continue
                if left := left_alone(hold, name, A_PROCESS, mark):
                    yield left
                    continue
                netem.remove(net, handle)
                yield Swept("done", f"removed: {name}")
        except netns.NamespaceGoneError:
            continue
        except UnavailableError as error:
            yield Swept("owed", f"queues cannot be looked at, or removed: {line(error)}")


def _places(held: set[str], leases: Mapping[str, float]) -> Iterator[Swept]:
    """Cgroups, mounts and files that bear our mark. Helpers have been ended before, so their mounts are nobody's."""
    if os.geteuid() != 0:
        yield Swept("unseen", "cgroups and mounts can only be looked at by root")
        return
    for one in leftovers.leftovers(leases):
        hold = "held" if one.mark in held else one.hold
        if left := left_alone(hold, f"{one.text} of {one.mark}", A_PROCESS, one.mark):
            yield left
            continue
        try:
            one.remove()
            yield Swept("done", f"removed: {one.text} of {one.mark}")
        except (UnavailableError, OSError) as error:
            yield Swept("owed", f"{one.text} of {one.mark} cannot be removed: {line(error)}")


def _watchdogs(home: Home) -> Iterator[Swept]:
    """End the watchdogs whose executor is gone and who have nothing left to undo by now."""
    owed = {note.run for note in undo_notes.left(home)}
    for watcher in watchers(home):
        if not watcher.orphaned or watcher.run in owed:
            continue
        name = f"watchdog of {watcher.run} (process {watcher.found.pid})"
        try:
            ended = watcher.end()
        except OSError as error:
            yield Swept("owed", f"{name} cannot be ended: {line(error)}")
            continue
        yield Swept("done", f"ended: {name}") if ended else Swept("owed", f"{name} does not end")


def _files(home: Home, held: Set[str]) -> Iterator[Swept]:
    """Remove the temporary files of runs that nobody carries out, of which nothing is owed, and none of these marks."""
    for rehearsal in home.clear_rehearsals():
        yield Swept("done", f"removed: {rehearsal}")
    kept = {note.run for note in undo_notes.left(home)} | {path.parent.name for path in undo_notes.unreadable(home)}
    kept |= {watcher.run for watcher in watchers(home) if not watcher.orphaned}
    kept |= _open_runs(home)
    for scratch in sorted(home.runs.glob("*/scratch")):
        run = scratch.parent.name
        if run in kept or _has(run, held):
            continue
        with suppress(InputError):  # a directory that is none of ours
            home.clear_scratch(run)
        if scratch.exists():
            yield Swept("owed", f"{scratch} cannot be removed")
        else:
            yield Swept("done", f"removed: {scratch}")


def _has(run: str, marks: Set[str]) -> bool:
    """Whether one of these is a mark of the run, or the name of a table after one."""
    stem = mark_stem(run)
    return any(mark.startswith((stem, nft.name_of(stem))) for mark in marks)


def _open_runs(home: Home) -> set[str]:
    """Runs that the journal, if there is one, holds as under way or owed."""
    with suppress(MurphyError, OSError):
        if not home.journal.stat().st_size:
            return set()
        with closing(Journal(home.journal)) as journal:
            return {row.run for row in journal.running()} | {injection.run for injection in journal.pending()}
    return set()


def _write_down(home: Home, found: list[Swept]) -> None:
    """Into the audit trail, where there is one to be written."""
    said: dict[str, list[str]] = {"done": [], "owed": []}
    for one in found:
        said.setdefault(one.outcome, []).append(one.text)
    with suppress(MurphyError, OSError):
        if home.journal.stat().st_size and (said["done"] or said["owed"]):
            with closing(Journal(home.journal)) as journal:
                journal.note(WHO, "swept", by=whoami(), done=said["done"], owed=said["owed"])
