"""The write-ahead journal: what a fault's revert needs is on disk before the fault begins. Standard library only.

An injection is *armed* (its record is durable, the fault may begin), *injected*, and then *reverted*, or *owed* where
the revert failed. It holds a lease on ``CLOCK_BOOTTIME``; once it has lapsed, or this boot has ended, anybody reverts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from executor.clock import boottime, here, machine, own_ticks, wall
from executor.errors import UnavailableError, plain
from executor.state import audit
from executor.state.altered import LOOK, altered, refuse_altered
from executor.state.frozen import Frozen
from executor.state.home import Home
from executor.state.rows import Injection as Injection
from executor.state.rows import Reach as Reach
from executor.state.rows import RunRow as RunRow
from executor.state.rows import injection_of, record_digest, run_of
from executor.state.store import Store
from executor.state.uses import consume

_REASON = 1000
"""Characters of a reason that are kept."""
_RUNNING = "SELECT * FROM runs WHERE outcome IS NULL ORDER BY rowid"


class Journal:
    """The journal in one file, for any number of threads and processes.

    Every method raises ``UnavailableError`` if the file cannot be read or made durable; nothing was changed then.
    """

    def __init__(self, path: Path, *, busy_s: float = 5.0, store: Store | None = None) -> None:
        self.store = store or Store(path, busy_s=busy_s)
        self._boot = here()

    @classmethod
    def frozen(cls, home: Home, *, why: str = "it was asked for as a copy") -> Journal:
        """The journal as it is now, to be read where it cannot be written; ``why`` is what a write will say."""
        return cls(home.journal, store=Frozen(home.journal, why=why))

    @classmethod
    def to_undo(cls, home: Home, *, busy_s: float = 5.0) -> Journal:
        """The journal, or what it holds where it cannot be used: undoing waits for no disk.

        Others that write to it are waited for up to ``busy_s`` seconds. Raises ``UnavailableError`` if it cannot even
        be read.
        """
        try:
            return cls(home.journal, busy_s=busy_s)
        except UnavailableError as error:
            with suppress(UnavailableError):  # what the journal itself says is the better answer
                return cls.frozen(home, why=error.message.removesuffix("."))
            raise

    def close(self) -> None:
        """Close the file. Idempotent."""
        self.store.close()

    def note(self, who: str, what: str, **detail: object) -> None:
        """Add a row to the audit trail; durable on return."""
        with self.store.write() as db:
            audit.append(db, who, what, **detail)

    def altered(self) -> str:
        """What of all this is not as it was written, in words; empty if nothing is. See ``executor.state.altered``."""
        return altered(self.store)

    def refuse_altered(self) -> None:
        """Raise ``SafetyRefusalError`` if it is not as it was written, ``UnavailableError`` if its anchor is stuck."""
        refuse_altered(self.store)

    @property
    def installation(self) -> str:
        """What tells this journal on this machine, at this place, from any other and from a copy; 32 hex digits."""
        rows = self.store.read("SELECT value FROM meta WHERE key = 'identity'")
        if not rows:
            where = str(self.store.path)
            raise UnavailableError("the journal has lost what tells it from others.", where=where, hint=LOOK)
        parts = (rows[0]["value"], machine(), str(self.store.path.resolve()))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def used(self, nonce: str) -> tuple[str, ...]:
        """The runs that used the approval, first first."""
        return tuple(
            row["run"] for row in self.store.read("SELECT run FROM approvals WHERE nonce = ? ORDER BY use", (nonce,))
        )

    def admit(
        self,
        run: str,
        *,
        nonce: str,
        plan_digest: str,
        environment: str,
        reach: Reach,
        check: Callable[[list[RunRow]], None],
        detail: Mapping[str, object],
        uses: int = 1,
        use: int = 1,
    ) -> None:
        """Begin a run of this process and consume a use of its approval, in one step that no other process overlaps.

        ``check`` sees the other runs and raises to refuse; ``use`` is the number of the use, from 1 to ``uses``.
        Raises ``SafetyRefusalError`` if that use is used up, or is none of those that were granted. After any error
        nothing has begun and the approval is as it was.
        """
        with self.store.write() as db:
            check([run_of(row) for row in db.execute(_RUNNING)])
            consume(db, nonce, run, uses, use)
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    *(run, plan_digest, environment, nonce, os.getpid(), own_ticks(), self._boot),
                    *(reach.instances, reach.services, reach.faults, reach.predicted(), wall()),
                ),
            )
            given = {"run": run, "plan": plan_digest, "environment": environment, "nonce": nonce, "use": use}
            given |= {"uses": uses, "instances": reach.instances, "services": reach.services, "faults": reach.faults}
            given |= {"pid": os.getpid(), "start_ticks": own_ticks(), "boot_id": self._boot}
            given |= {"reach": record_digest(reach.predicted().encode())}
            audit.append(db, "executor", "run_started", **given, **detail)

    def occupy(self, run: str, bodies: Sequence[str], check: Callable[[list[RunRow]], None]) -> None:
        """Add what a run is about to strike to its reach, in one step that no other process overlaps.

        ``check`` sees the other runs and raises to refuse; then nothing is added.
        """
        with self.store.write() as db:
            rows = [run_of(row) for row in db.execute(_RUNNING)]
            check([row for row in rows if row.run != run])
            for reach in (row.reach for row in rows if row.run == run and not {*bodies} <= {*row.reach.bodies}):
                more = replace(reach, bodies=tuple(sorted({*bodies, *reach.bodies})))
                db.execute("UPDATE runs SET targets = ? WHERE run = ?", (more.predicted(), run))
                audit.append(db, "executor", "occupied", run=run, reach=record_digest(more.predicted().encode()))

    def finish(self, run: str, outcome: str, *, who: str = "executor", reason: str = "") -> bool:
        """End a run, unless it has ended; returns whether it was this call that did. Its injections are not touched.

        ``reason`` is why it ended before its time: the rule, what was measured and the limit, or who halted it.
        """
        with self.store.write() as db:
            done = db.execute(
                "UPDATE runs SET outcome = ?, ended = ? WHERE run = ? AND outcome IS NULL", (outcome, wall(), run)
            )
            if done.rowcount:
                why = {"reason": reason[:_REASON]} if reason else {}
                audit.append(db, who, "run_finished", run=run, outcome=outcome, **why)
            return done.rowcount == 1

    def running(self) -> list[RunRow]:
        """Runs that have not ended, oldest first; those whose executor has died are among them."""
        return [run_of(row) for row in self.store.read(_RUNNING)]

    def state_of(self, run: str, pid: int, ticks: int) -> Literal["awaited", "running", "ended", "foreign"]:
        """How the run stands for that process: not begun, under way in it, ended in it, or another process's."""
        rows = self.store.read("SELECT pid, start_ticks, boot_id, outcome FROM runs WHERE run = ?", (run,))
        if not rows:
            return "awaited"
        if (rows[0]["pid"], rows[0]["start_ticks"], rows[0]["boot_id"]) != (pid, ticks, self._boot):
            return "foreign"
        return "running" if rows[0]["outcome"] is None else "ended"

    def arm(
        self,
        run: str,
        *,
        experiment: str,
        trial: int,
        action: str,
        kind: str,
        subject: str,
        mark: str,
        record: Mapping[str, Any],
        lease_s: float,
    ) -> Injection:
        """Write down a fault that is about to begin; durable on return, with a lease of ``lease_s`` seconds."""
        text = json.dumps(record, allow_nan=False)
        with self.store.write() as db:
            cursor = db.execute(
                "INSERT INTO injections (run, experiment, trial, action, kind, subject, mark, record, state, expires,"
                " boot_id, armed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'armed', ?, ?, ?)",
                (run, experiment, trial, action, kind, subject, mark, text, boottime() + lease_s, self._boot, wall()),
            )
            told: dict[str, object] = {"run": run, "action": action, "kind": kind, "subject": subject, "mark": mark}
            told |= {"experiment": experiment, "trial": trial, "boot_id": self._boot, "injection": cursor.lastrowid}
            audit.append(db, "executor", "armed", **told, record=record_digest(text.encode()))
            row = db.execute("SELECT * FROM injections WHERE id = ?", (cursor.lastrowid,)).fetchone()
        return injection_of(row)

    def injected(self, number: int, record: Mapping[str, Any]) -> bool:
        """Note that the fault is there, with what was learned. ``False``: its lease has lapsed; revert at once."""
        text = json.dumps(record, allow_nan=False)
        with self.store.write() as db:
            done = db.execute(
                "UPDATE injections SET record = ?, state = 'injected'"
                " WHERE id = ? AND state = 'armed' AND expires > ? AND boot_id = ?",
                (text, number, boottime(), self._boot),
            )
            if not done.rowcount:  # what was learned is still needed to undo it
                db.execute("UPDATE injections SET record = ?, state = 'armed' WHERE id = ?", (text, number))
            digest = record_digest(text.encode())
            audit.append(db, "executor", "injected", injection=number, fenced=not done.rowcount, record=digest)
            return done.rowcount == 1

    def renew(self, run: str, lease_s: float) -> int:
        """Push all live leases of a run to ``lease_s`` seconds from now, in one step; returns how many.

        A lease that has lapsed is not revived.
        """
        now = boottime()
        with self.store.write() as db:
            return db.execute(
                "UPDATE injections SET expires = ? WHERE run = ? AND state IN ('armed', 'injected')"
                " AND expires > ? AND boot_id = ?",
                (now + lease_s, run, now, self._boot),
            ).rowcount

    def reverted(self, number: int, *, by: str, verified: bool) -> None:
        """Note that the fault is gone."""
        self.reverted_all((number,), by=by, verified=verified)

    def reverted_all(self, numbers: Sequence[int], *, by: str, verified: bool) -> None:
        """Note that these faults are gone, in one step."""
        with self.store.write() as db:
            for number in numbers:
                done = db.execute(
                    "UPDATE injections SET state = 'reverted', error = '', by = ?, reverted = ?"
                    " WHERE id = ? AND state <> 'reverted'",
                    (by, wall(), number),
                )
                if done.rowcount:
                    audit.append(db, by, "reverted", injection=number, verified=verified)

    def owe(self, number: int, error: str, *, by: str) -> None:
        """Note that reverting failed, and why; it stays owed until somebody succeeds."""
        error = plain(error)  # first, for both: two halves of a character that are escaped in the trail are read as one
        with self.store.write() as db:
            done = db.execute("UPDATE injections SET state = 'owed', error = ? WHERE id = ?", (error, number))
            if done.rowcount:
                audit.append(db, by, "revert_owed", injection=number, error=error)

    def injection(self, number: int) -> Injection:
        """One injection as it is recorded now. Raises ``KeyError`` if there is none of that number."""
        rows = self.store.read("SELECT * FROM injections WHERE id = ?", (number,))
        if not rows:
            raise KeyError(number)
        return injection_of(rows[0])

    def pending(self, run: str | None = None) -> list[Injection]:
        """Injections not reverted yet, of one run or of all, oldest first."""
        where, values = ("AND run = ?", (run,)) if run else ("", ())
        rows = self.store.read(f"SELECT * FROM injections WHERE state <> 'reverted' {where} ORDER BY id", values)  # noqa: S608 - constant text
        return [injection_of(row) for row in rows]

    def of_run(self, run: str) -> list[Injection]:
        """All injections of a run, oldest first."""
        return [
            injection_of(row) for row in self.store.read("SELECT * FROM injections WHERE run = ? ORDER BY id", (run,))
        ]

    def reverted_by_others(self, run: str) -> list[Injection]:
        """Injections of a run that were reverted, though not by its executor, oldest first: it may not know of that."""
        return [each for each in self.of_run(run) if each.state == "reverted" and each.by != "executor"]

    def reverted_by(self, run: str, who: str) -> list[Injection]:
        """Injections of a run that ``who`` has reverted, oldest first."""
        return [each for each in self.of_run(run) if each.state == "reverted" and each.by == who]
