"""A PostgreSQL of our own, for a while: in a directory of its own, reached through a socket in it and by no port.

Its processes die with the process that made them. Standard library only: the watchdog removes what is left.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.clock import start_ticks
from executor.errors import UnavailableError
from executor.kernel import process

USER = "postgres"
DATABASE = "drill"
_PORT = 5432
"""Names the socket only."""
_SET_DEATH_SIGNAL = 1
_LOOK_S = 0.05
_ENDS_WITHIN_S = 5.0
_SETTINGS = {"listen_addresses": "", "max_connections": "10"}


@dataclass(frozen=True)
class Scratch:
    """Where it is, whose programs it runs, and as whom."""

    directory: Path
    programs: Path
    """Directory of ``initdb`` and ``postgres``."""
    uid: int
    gid: int

    @property
    def environment(self) -> dict[str, str]:
        """What leads a client there."""
        return {"PGHOST": str(self.directory), "PGPORT": str(_PORT), "PGUSER": USER, "PGDATABASE": DATABASE}

    def begin(self, encoding: str, held: Callable[[float], bool]) -> None:
        """Make it, start it and give it an empty database. ``held`` sleeps, and says whether to go on.

        Raises ``UnavailableError`` if it does not come up.
        """
        self.directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.directory, self.uid, self.gid)
        data = str(self.directory / "data")
        made = ["-D", data, "-U", USER, "-A", "trust", "-E", encoding, "--locale=C", "--no-sync", "--no-instructions"]
        self.run("initdb", made, held, as_server=True)
        settings = {**_SETTINGS, "unix_socket_directories": str(self.directory)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        started = ["-D", data, "-p", str(_PORT), *arguments]
        server = self._start("postgres", started, as_server=True, dies_by=signal.SIGQUIT)
        while server.poll() is None and held(_LOOK_S):
            with suppress(UnavailableError):
                return self.run("createdb", [DATABASE], held)
        raise UnavailableError("the server for the copy does not come up.", where=str(self.directory))

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        held: Callable[[float], bool],
        *,
        as_server: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program to its end, with this server as its default. One with a slash is not one of the server's.

        Raises ``UnavailableError`` with its last words if it fails, or if it is not to go on.
        """
        with (self.directory / "said").open("w+b") as said:
            child = self._start(program, arguments, as_server=as_server, said=said, more=more)
            while child.poll() is None:
                if not held(_LOOK_S):
                    process.end_child(child)
                    child.wait()
                    raise UnavailableError("it took too long.", where=program)
            if child.returncode:
                said.seek(0)
                words = said.read(65_536).decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
                raise UnavailableError(f"ended with status {child.returncode}: {words[0].rstrip('.')}.", where=program)

    def _start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        as_server: bool,
        dies_by: signal.Signals = signal.SIGKILL,
        said: Any = subprocess.DEVNULL,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        as_whom: dict[str, Any] = {}
        if as_server and os.geteuid() == 0:
            as_whom = {"user": self.uid, "group": self.gid, "extra_groups": ()}
        own = self.programs / program
        known = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        death = ctypes.CDLL(None).prctl
        return subprocess.Popen(
            [str(own) if own.exists() else program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd="/",
            env={**known, **self.environment, **(more or {})},
            preexec_fn=lambda: death(_SET_DEATH_SIGNAL, int(dies_by)),  # safe: the helper has one thread
            **as_whom,
        )


def remove(directory: Path, uid: int) -> None:
    """End what runs there and remove it. Idempotent; raises ``UnavailableError`` if something stays.

    A directory that is neither ours nor the server's user's is somebody else's, and is not touched.
    """
    until = time.monotonic() + _ENDS_WITHIN_S
    while found := _running(directory):
        for pid, ticks in found:
            process.send(
                pid, ticks, signal.SIGQUIT if time.monotonic() < until - _ENDS_WITHIN_S / 2 else signal.SIGKILL
            )
        if time.monotonic() > until:
            raise UnavailableError("its server does not end.", where=str(directory))
        time.sleep(_LOOK_S)
    try:
        if directory.lstat().st_uid in (uid, os.geteuid()):
            shutil.rmtree(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnavailableError(f"cannot be removed: {error.strerror}.", where=str(directory)) from error


def _running(directory: Path) -> list[tuple[int, int]]:
    """Servers whose data is there."""
    data = str(directory / "data")
    lines = ((pid, process.command_line(pid)) for pid in process.pids())
    found = ((pid, start_ticks(pid)) for pid, line in lines if "-D" in line and data in line)
    return [(pid, ticks) for pid, ticks in found if ticks is not None]
