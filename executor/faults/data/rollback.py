"""data.rollback: a helper has the database end sessions that are in the middle of a transaction."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.looking import Looking
from executor.kernel import child
from executor.servers import postgresql

if TYPE_CHECKING:
    from executor.model.faults.data import Rollback as Spec

_LOOK_S = 0.01
_REPLICA = "SELECT pg_is_in_recovery()"
_WRITING = f"SELECT a.pid, a.xact_start {postgresql.APPLICATIONS} AND a.backend_xid IS NOT NULL"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND xact_start = %s"


class Rollback(Looking, held.Held):
    """Only transactions that have written something, and never those of Murphy or of an administrator.

    A transaction is met at most once, and the dice are thrown for it once.
    """

    kind = "data.rollback"
    lease: LeaseKind = "parent_death"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL that a dsn leads to, and that is written to."""
        with postgresql.session_of(target) as session:
            if session.execute(_REPLICA).fetchone() == (True,):
                raise UnavailableError("is a replica, where nothing is written.", where=target.service.name)
            database = session.info.dbname
        chance = {"probability": fault.probability, "every": fault.every}
        return {"dsn": target.service.dsn, "database": database, **chance}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record whose. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return {**self.look(fault, target), "name": context.mark, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once it looks."""
        job = {name: record[name] for name in ("dsn", "name", "database", "probability", "every")}
        held.start("executor.faults.data.rollback", [json.dumps(job)], record, lease_s)
        return {}


def main() -> None:
    """The helper: look who is writing, a hundred times a second, and end those that are meant."""
    lease, (text,) = child.lease(sys.argv[1:])
    job = json.loads(text)
    dice = random.Random(job["name"])
    met: set[Any] = set()
    count = 0
    with postgresql.session(job["dsn"], name=job["name"]) as session:
        child.ready()
        while lease.wait(_LOOK_S):
            writing = set(session.execute(_WRITING, (job["database"], f"{postgresql.OURS}%")).fetchall())
            for one in writing - met:
                count += 1
                if count % job["every"] == 0 and dice.random() < job["probability"]:
                    session.execute(_END, one)
            met = writing


if __name__ == "__main__":
    try:
        main()
    except UnavailableError as error:
        sys.exit(str(error))
