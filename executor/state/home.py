"""Where Murphy keeps its state. Standard library only: the watchdog and ``murphy halt`` use it."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from executor.errors import InputError, UnavailableError
from executor.state import place

_DIRECTORIES = ("keys", "runs", "memory")
_FILES = ("journal.db", "ledger.db", "documents.db", "sessions.db", "memory.lock", "watchdog.log", "RESUMED")
_BESIDE = {(file, part) for file in _FILES for part in ("wal", "shm", "anchor", "reserve")}
"""What belongs to a database: its log and that log's index; to the journal, also its anchor and its reserve."""
_REHEARSAL = "readiness-"
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Home:
    """The state directory, mode 0700; by default ``MURPHY_HOME`` or ``~/.local/share/murphy``."""

    path: Path

    @classmethod
    def open(cls, path: Path | str | None = None) -> Home:
        """The home at ``path``, made if it is not there. Raises ``UnavailableError`` if that cannot be.

        A directory that others use too (``/tmp``, a checkout) is refused, not closed to them.
        """
        home = cls.seen(path)
        chosen = home.path
        try:
            if home._belongs_to_others():
                raise UnavailableError(
                    "the state directory must be Murphy's alone, and others can read this one and use it.",
                    where=str(chosen),
                    hint="Set MURPHY_HOME to a directory that is empty or not there yet.",
                )
            for directory in (chosen, home.keys, home.runs, home.memory):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(chosen.stat().st_mode) != 0o700:  # a disk that can only be read is no reason to stop here
                chosen.chmod(0o700)
        except OSError as error:
            raise UnavailableError(
                f"the state directory cannot be used: {error.strerror}.",
                where=str(chosen),
                hint="Set MURPHY_HOME to a directory that you may write.",
            ) from error
        return home

    @classmethod
    def to_undo(cls, path: Path | str | None = None) -> Home:
        """The same for whoever halts or undoes: what is amiss within it (no ``memory``, say) is no reason not to.

        Raises ``UnavailableError`` if it is none of Murphy's and cannot be made one, or others use it.
        """
        try:
            return cls.open(path)
        except UnavailableError:
            home = cls.seen(path)
            with suppress(OSError):  # another user's
                names = {path.name for path in home.path.iterdir()}
                if names & {*_DIRECTORIES, *_FILES} and not home._belongs_to_others():
                    return home
            raise

    @classmethod
    def seen(cls, path: Path | str | None = None) -> Home:
        """The home at ``path`` as it is: nothing is made or changed, and it may not be there."""
        return cls(Path(path or place.chosen()).resolve())

    def _belongs_to_others(self) -> bool:
        if not self.path.is_dir() or self.is_made():
            return False
        return bool(self.path.stat().st_mode & 0o077) and any(self.path.iterdir())

    def is_made(self) -> bool:
        """Whether there is a state directory already."""
        return place.is_made(str(self.path))

    def forget(self) -> None:
        """Remove all state but a halt, and nothing that is not Murphy's. See ``executor.undo.recover.forget`` first.

        Raises ``UnavailableError`` for what cannot be removed, a directory in a file's place, say; some is gone then.
        """
        import shutil  # here, for whoever halts would wait for it to load

        for path in self.path.iterdir():
            try:
                if path.name in _DIRECTORIES and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name in _FILES or path.name.rpartition("-")[::2] in _BESIDE:
                    path.unlink()
            except OSError as error:
                raise UnavailableError(
                    f"cannot be removed: {error.strerror}.", where=str(path), hint="Remove it by hand."
                ) from error

    @property
    def journal(self) -> Path:
        """Write-ahead record of injections, leases and approvals, and the audit trail."""
        return self.path / "journal.db"

    @property
    def ledger(self) -> Path:
        """System of record of runs and findings."""
        return self.path / "ledger.db"

    @property
    def documents(self) -> Path:
        """Texts of the documents learned."""
        return self.path / "documents.db"

    @property
    def memory(self) -> Path:
        """Vector index, rebuildable from the ledger and the documents."""
        return self.path / "memory"

    @property
    def sessions(self) -> Path:
        """Checkpoints of planning sessions."""
        return self.path / "sessions.db"

    @property
    def keys(self) -> Path:
        """Signing keys, the list of trusted ones, and signed policies."""
        return self.path / "keys"

    @property
    def runs(self) -> Path:
        """One directory a run."""
        return self.path / "runs"

    @property
    def halt_file(self) -> Path:
        """There while everything is halted."""
        return self.path / place.HALT_FILE

    @property
    def resumed_file(self) -> Path:
        """The flag of the last halt that is over."""
        return self.path / "RESUMED"

    def run_dir(self, run: str, *, make: bool = True) -> Path:
        """Directory of one run's files, made if ``make``. Raises ``InputError`` for what is no run's name."""
        if not _RUN_ID.fullmatch(run):
            raise InputError(f"{run!r} is not the name of a run.", hint="murphy run says it, like run-977f6a625aa6.")
        path = self.runs / run
        if make:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def scratch(self, run: str) -> Path:
        """Directory for a run's sockets and temporary files; removed once nothing of the run is owed."""
        path = self.run_dir(run) / "scratch"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def clear_scratch(self, run: str) -> None:
        """Remove a run's scratch directory. Only when nothing of the run is owed: reverts keep what they need there."""
        import shutil

        path = self.run_dir(run, make=False) / "scratch"
        if path.is_dir():  # a pipe in its place would be opened, and waited at for somebody who writes
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def rehearsal(self) -> Iterator[str]:
        """A scratch directory for no run, locked and removed at the end, or by ``clear_rehearsals`` if we die in it."""
        import tempfile

        while True:
            with tempfile.TemporaryDirectory(prefix=_REHEARSAL, dir=self.path) as path, _locked(path) as there:
                if there:  # else it was taken for one of the dead before it was locked
                    yield path
                    return

    def clear_rehearsals(self) -> list[Path]:
        """Remove the directories of rehearsals in which somebody died: they may hold a target's secrets."""
        import shutil

        left = []
        for path in self.path.glob(f"{_REHEARSAL}*"):
            with suppress(OSError):
                handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released by whoever died
                    shutil.rmtree(path)
                    left.append(path)
                finally:
                    os.close(handle)
        return left


@contextmanager
def _locked(directory: str) -> Iterator[bool]:
    """Whether it is there, once it is locked."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Path(directory).exists()
    finally:
        os.close(handle)
