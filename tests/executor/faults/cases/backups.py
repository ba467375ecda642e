"""Faults on backups: a real archive of a real PostgreSQL, the job that writes it, and another backup beside it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.data import BackupFailure
from executor.model.plan import InstanceTarget
from executor.model.system import Backup
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import service
from tests.executor.faults.servers import Postgres

How = Literal["target_unwritable", "truncated_archive", "wrong_credentials"]


class BackedUp:
    """The clerk backs the shop up into a directory."""

    def __init__(self, server: Postgres, path: Path, how: How) -> None:
        self.server, self.how = server, how
        self.directory, self.other = path / "backups", path / "others"
        self.passfile = path / "pgpass"
        self.passfile.touch(mode=0o600)
        self.passfile.write_text(f"# the clerk's\n127.0.0.1:{server.port}:shop:clerk:{server.password}\n")
        for directory in (self.directory, self.other):
            directory.mkdir()
            assert self.job(directory / "shop.dump") == ""
        backup = Backup(
            path=str(self.directory), verify_command=("true",), credentials=str(self.passfile), max_age_s=3600
        )
        self.system = service(server, "postgres", "postgresql", backup=backup)
        os.environ["TEST_POSTGRES"] = server.url()

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="postgres"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def job(self, archive: Path) -> str:
        """Back up; what it complains of."""
        command = [
            "-Fc",
            "-w",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.server.port),
            "-U",
            "clerk",
            "-f",
            str(archive),
            "shop",
        ]
        return self._run("pg_dump", *command)

    def restorable(self, archive: Path) -> str:
        """Read an archive to its end; what it complains of."""
        return self._run("pg_restore", "-f", "/dev/null", str(archive))

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.server.programs / "bin" / program), *arguments]
        given = {**os.environ, "PGPASSFILE": str(self.passfile)}
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""

    def tried(self, directory: Path) -> tuple[str, str]:
        """What a new backup there, and the one that is there, complain of."""
        new = directory / "next.dump"
        said = self.job(new)
        new.unlink(missing_ok=True) if not said else None
        return said, self.restorable(directory / "shop.dump")

    def normal(self) -> bool:
        return self.tried(self.directory) == ("", "")

    def faulted(self) -> bool:
        new, old = self.tried(self.directory)
        if self.how == "target_unwritable":
            return "Read-only file system" in new and not old
        if self.how == "wrong_credentials":
            return "password authentication failed" in new and not old
        return not new and "end of file" in old

    def unharmed(self) -> bool:
        """Whether the other backup is as it was, and written as ever where it is not this job that fails."""
        new, old = self.tried(self.other)
        return not old and (not new or self.how == "wrong_credentials") and self.server.answers()

    def size(self) -> str:
        if self.how == "truncated_archive":
            sizes = [(each / "shop.dump").stat().st_size for each in (self.directory, self.other)]
            assert sizes[0] == sizes[1] // 2
            return f"half of {sizes[1]} bytes asked, {sizes[0]} left"
        assert all(self.tried(self.directory)[0] for _ in range(3)), "some backups are made"
        return "every new backup asked, 3 of 3"

    def state(self) -> Any:
        files = [self.passfile, *sorted(self.directory.iterdir())]
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return {
            "files": [(str(file), _content(file), file.stat().st_mode, file.stat().st_mtime_ns) for file in files],
            "mounts": [line for line in mounts if str(self.directory) in line],
        }

    def die(self) -> None:
        self.server.end()


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def case(how: How) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[BackedUp]:
        yield BackedUp(bench.postgres(), bench.path, how)

    def unavailable() -> str | None:
        return "needs root" if how == "target_unwritable" and os.geteuid() != 0 else None

    return Case(f"data.backup_failure-{how}", BackupFailure(how=how), opened, unavailable=unavailable)


CASES = (case("target_unwritable"), case("truncated_archive"))
