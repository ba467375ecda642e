"""A restore drill: a real archive of a real PostgreSQL, of which some rows are newer than the archive."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.data import RestoreDrill
from executor.model.plan import InstanceTarget
from executor.model.system import Backup
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import service
from tests.executor.faults.servers import Postgres

ROWS, NEWER = 50, 4
_SOLD = f"""
DROP TABLE IF EXISTS sold;
CREATE TABLE sold (id int PRIMARY KEY, what text);
INSERT INTO sold SELECT n, 'good ' || n FROM generate_series(1, {ROWS}) n"""
_LATER = f"""
UPDATE sold SET what = 'changed' WHERE id = 1;
INSERT INTO sold SELECT n, 'new' FROM generate_series({ROWS + 1}, {ROWS + NEWER - 1}) n"""
INVARIANTS = ("SELECT count(*) > 0 FROM sold", "SELECT max(id) > 50 FROM sold", "SELECT 1 / 0 = 0")
"""The first one holds in the copy; the second would in the database; the third can never be answered."""


class Drill:
    """The shop, backed up and then changed. The copy is a bystander's view: nothing of the shop may change by it."""

    def __init__(self, server: Postgres, path: Path, form: str = "custom") -> None:
        self.server = server
        self.archive = path / "shop.dump"
        with psycopg.connect(server.url()) as session:
            session.execute(_SOLD)
        command = [str(server.programs / "bin" / "pg_dump"), f"--format={form}", "-w", "-d", server.url()]
        subprocess.run([*command, "-t", "sold", "-t", "goods", "-f", str(self.archive)], check=True)
        with psycopg.connect(server.url()) as session:
            session.execute(_LATER)
        backup = Backup(path=str(self.archive), verify_command=("true",), invariants=INVARIANTS)
        self.system = service(server, "postgres", "postgresql", backup=backup)
        os.environ["TEST_POSTGRES"] = server.url()

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="postgres"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def copied(self) -> int | None:
        """Rows in the copy; ``None`` if there is no copy yet."""
        for directory in copies():
            where = {"host": str(directory), "user": "postgres", "dbname": "drill", "connect_timeout": 5}
            try:
                with psycopg.connect(**where) as session:  # type: ignore[arg-type]
                    found = session.execute("SELECT count(*) FROM sold").fetchone()
            except psycopg.Error:
                continue
            assert found is not None
            return int(found[0])
        return None

    def normal(self) -> bool:
        return self.server.answers() and copies() == []

    def faulted(self) -> bool:
        return self.copied() == ROWS

    def unharmed(self) -> bool:
        """Whether the shop's own rows are all there, and it is written to."""
        with psycopg.connect(self.server.url()) as session:
            found = session.execute("SELECT count(*) FROM sold").fetchone()
            written = session.execute("UPDATE goods SET name = name RETURNING id").fetchall()
        return found == (ROWS + NEWER - 1,) and len(written) == 20

    def size(self) -> str:
        return f"a backup of {ROWS} rows asked, {self.copied()} restored; {NEWER} newer ones are not in it"

    def state(self) -> Any:
        with psycopg.connect(self.server.url()) as session:
            rows = session.execute("SELECT * FROM sold ORDER BY 1").fetchall()
        sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'murphy%%'"
        return {
            "rows": rows,
            "sessions": self.server.ask(sessions),
            "copies": copies(),
            "archive": (self.archive.read_bytes(), self.archive.stat().st_mtime_ns),
        }

    def die(self) -> None:
        self.server.end()

    def close(self) -> None:
        if self.server.process.poll() is None:
            with psycopg.connect(self.server.url()) as session:
                session.execute("DROP TABLE sold")


def copies() -> list[Path]:
    """Directories of copies that these tests have made."""
    return sorted(Path(tempfile.gettempdir()).glob(f"murphy-*-{os.getpid()}-*"))


@contextmanager
def opened(bench: Bench) -> Iterator[Drill]:
    made = Drill(bench.postgres(), bench.path)
    try:
        yield made
    finally:
        made.close()


CASES = (Case("data.restore_drill", RestoreDrill(tables=("sold", "goods")), opened),)
