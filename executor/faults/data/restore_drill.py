"""data.restore_drill: a helper restores the declared backup into a PostgreSQL of its own, and measures it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import MurphyError, UnavailableError, words_of
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import archive, compared
from executor.faults.looking import Looking
from executor.kernel import child, process
from executor.servers import postgresql, scratch_postgresql
from executor.servers.scratch_postgresql import Scratch
from executor.state import durable

if TYPE_CHECKING:
    from executor.model.faults.data import RestoreDrill as Spec

_LOOK_S = 0.1
_WAIT_S = 12.0
"""How long making the fault waits for the drill to be over; then it goes on, and is told of at the end."""
_ROOM = 4
"""Free space that is needed, in sizes of the database: the copy, its log, and room beside it."""
_HEAD_BYTES = 64 * 2**10
"""Of a backup, from which it is told what it is."""
_ABOUT = (
    "SELECT pg_database_size(current_database()), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s"
)


class RestoreDrill(Looking, held.Held):
    """The copy stays until the fault ends, and dies with the helper; the database itself is only read.

    A backup that cannot be restored is no failure of the drill: that is what it finds. What it measures is in the
    record (``restored``, ``rto_s``, ``rpo_s``, …) if it was over soon, and is told at its end in any case.
    """

    kind = "data.restore_drill"
    lease: LeaseKind = "parent_death"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A PostgreSQL of this machine, a backup that we know how to restore, and room for it."""
        service = target.service
        with postgresql.session_of(target) as session:
            for table in fault.tables:
                postgresql.table(session, table, where=service.name)
            size, encoding = session.execute(_ABOUT, (session.info.dbname,)).fetchone() or (0, "UTF8")
        if service.backup is None:
            raise UnavailableError("has no backup; say where it is, as backup in system.yaml.", where=service.name)
        if not process.same_namespaces(target.pid):
            raise UnavailableError("is in a container, whose programs are not run here.", where=target.instance)
        programs, (uid, gid) = _programs(target.pid), _owner(target.pid)
        if os.geteuid() not in (0, uid):
            raise UnavailableError("is another user's; run Murphy as that user, or as root.", where=target.instance)
        free = os.statvfs(tempfile.gettempdir())
        if free.f_bavail * free.f_frsize < _ROOM * size:
            needed = _ROOM * size // 2**20
            raise UnavailableError(
                f"needs {needed} MiB of room; set TMPDIR to where it is.", where=tempfile.gettempdir()
            )
        backup = archive.newest(Path(service.backup.path))
        return {
            "dsn": service.dsn,
            "programs": str(programs),
            "owner": [uid, gid],
            "encoding": encoding,
            "backup": str(backup),
            "command": list(service.backup.restore_command) or _usual(backup),
            "invariants": list(service.backup.invariants),
            "tables": list(fault.tables),
            "within_s": fault.within_s,
        }

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is restored, and where. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        return {
            **self.look(fault, target),
            "directory": str(Path(tempfile.gettempdir()) / context.mark),
            "report": str(Path(context.scratch) / f"{context.mark}.drill"),
            **held.record(context),
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; what it has measured, if that is soon. Raises ``UnavailableError`` if it cannot begin."""
        held.start("executor.faults.data.restore_drill", [json.dumps(dict(record))], record, lease_s)
        until = time.monotonic() + _WAIT_S
        while not (measured := _report(record)) and time.monotonic() < until:
            if not held.alive(record):
                raise UnavailableError("the helper ended before the drill was over.", where=record["directory"])
            held.renew(record, lease_s)
            time.sleep(_LOOK_S)
        if measured and "failed" in measured:
            raise UnavailableError(measured["failed"])
        return measured or {}

    def tells(self, record: Record) -> str:
        """What was measured, in words."""
        found = _report(record) or {name: record[name] for name in _MEASURED if name in record}
        if not found:
            return "the backup was not restored by the end of the drill"
        if "failed" in found:
            return f"nothing was restored: {found['failed']}"
        if not found["restored"]:
            return f"the backup cannot be restored: {found['why']}"
        equal, broken = f"{found['tables_equal']} of {found['tables_compared']}", len(found["invariants_broken"])
        return (
            f"restored in {found['rto_s']:.1f} s (RTO) from a backup {found['rpo_s']:.0f} s old (RPO):"
            f" {equal} tables as they are, {found['rows_lost']} rows lost, {broken} invariants broken"
        )

    def revert(self, record: Record) -> None:
        """End the helper and remove its copy, whatever it has come to."""
        held.end(record)
        scratch_postgresql.remove(Path(record["directory"]), record["owner"][0])
        Path(record["report"]).unlink(missing_ok=True)


_MEASURED = ("restored", "why", "rto_s", "rpo_s", *compared.MEASURED)


def _report(record: Record) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(Path(record["report"]).read_text(encoding="utf-8"))
    except OSError:
        return None
    return found


def _programs(pid: int) -> Path:
    """Where the server's own programs are."""
    try:
        programs = Path(os.readlink(f"/proc/{pid}/exe")).parent  # noqa: PTH115 - what it runs, without following it
    except OSError:
        raise UnavailableError(
            f"process {pid} may not be looked at.", hint="Run Murphy as its user, or as root."
        ) from None
    for program in ("initdb", "postgres", "createdb", "pg_restore", "psql"):
        if not (programs / program).exists():
            raise UnavailableError(f"{program} is not beside the server's program.", where=str(programs))
    return programs


def _owner(pid: int) -> tuple[int, int]:
    about = process.status(pid)
    uid, gid = (int(about[name].split()[1]) for name in ("Uid", "Gid"))
    return uid, gid


def _usual(backup: Path) -> list[str]:
    """How what pg_dump wrote is restored. Raises ``UnavailableError`` for anything else."""
    with backup.open("rb") as stream:
        begins = stream.read(_HEAD_BYTES)
    if begins.startswith(b"PGDMP"):
        of = backup.parent if backup.name == "toc.dat" else backup
        return [
            "pg_restore",
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            "-d",
            scratch_postgresql.DATABASE,
            str(of),
        ]
    if b"PostgreSQL database dump" in begins[:256]:
        if b"\n\\connect " in begins:
            hint = "Dump without -C, or name the restore_command of backup in system.yaml."
            raise UnavailableError("goes into a database of its own (pg_dump -C).", where=str(backup), hint=hint)
        return ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(backup)]
    raise UnavailableError(
        "is nothing that pg_dump wrote.", where=str(backup), hint="Name the restore_command of backup in system.yaml."
    )


def main() -> None:
    """The helper: restore, compare, write down what was measured, and hold the copy."""
    lease, (text,) = child.lease(sys.argv[1:])
    job: dict[str, Any] = json.loads(text)
    scratch = Scratch(Path(job["directory"]), Path(job["programs"]), *job["owner"])
    until = time.monotonic() + job["within_s"]

    def goes_on(seconds: float) -> bool:
        return lease.wait(seconds) and time.monotonic() < until

    child.ready()
    try:
        durable.write(Path(job["report"]), json.dumps(_drill(job, scratch, goes_on)).encode())
        while lease.wait(1.0):
            pass
    finally:
        scratch_postgresql.remove(scratch.directory, scratch.uid)


def _drill(job: dict[str, Any], scratch: Scratch, goes_on: Callable[[float], bool]) -> dict[str, Any]:
    """What is measured; ``failed`` says why nothing could be."""
    begun, age_s = time.monotonic(), time.time() - Path(job["backup"]).stat().st_mtime
    try:
        scratch.begin(job["encoding"], goes_on)
        compared.same_roles(job["dsn"], scratch)
    except (MurphyError, OSError) as error:
        return {"failed": words_of(error)}
    measured: dict[str, Any] = {"restored": True, "why": "", "rpo_s": round(age_s, 3)}
    try:
        program, *arguments = job["command"]
        scratch.run(program, arguments, goes_on, more={"MURPHY_BACKUP": job["backup"]})
        measured["rto_s"] = round(time.monotonic() - begun, 3)
        return measured | compared.compare(job["dsn"], scratch, job["tables"], job["invariants"])
    except MurphyError as error:
        return measured | {"restored": False, "why": str(error)}


if __name__ == "__main__":
    main()
