"""A machine that ssh reaches: this one, by an sshd of our own on a loopback port, with keys made for it alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from executor.clock import start_ticks
from executor.kernel import process
from executor.model.system import SshInstance
from tests.executor.kit import Shelf, free_port, until
from tests.missing import missing

_SSHD: Final = "/usr/sbin/sshd"
_SEPARATION: Final = Path("/run/sshd")
"""An empty directory that sshd demands of root, and the distribution's service makes at boot.

It stays, as after that service: another test process may need it too.
"""
_MARK: Final = "MURPHY_TEST_MACHINE"
_CONFIG: Final = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {path}/host
AuthorizedKeysFile {path}/user.pub
SetEnv {mark}={path}
PidFile none
StrictModes no
PermitRootLogin yes
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
ForceCommand PATH="{python}:$PATH" exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
_PYTHON: Final = Path(sys.executable).resolve().parent
"""Where that machine finds Python first; a shim before it would make every question slow."""


def lacking() -> str | None:
    """Why there is no such machine here; ``None`` if there is."""
    if not Path(_SSHD).exists() or shutil.which("ssh") is None:
        return "not installed: openssh-server or openssh-client"
    return None


class Sshd:
    """One server, its keys, and who has logged in."""

    def __init__(self) -> None:
        self.path, self.port = Path(tempfile.mkdtemp(prefix="murphy-sshd-")), free_port()
        if os.geteuid() == 0:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        for name in ("host", "user", "stranger"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.path / name)]
            subprocess.run(key, check=True, stdin=subprocess.DEVNULL)
        self.knows("known_hosts", "host")
        config = self.path / "sshd_config"
        config.write_text(_CONFIG.format(mark=_MARK, path=self.path, port=self.port, python=_PYTHON), encoding="utf-8")
        self.begin()

    def begin(self) -> None:
        """Take connections, once more after ``end`` too."""
        command = [_SSHD, "-D", "-e", "-f", str(self.path / "sshd_config")]
        with (self.path / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, start_new_session=True)
        until(lambda: b"Server listening" in (self.path / "log").read_bytes(), what="sshd does not start")

    def knows(self, name: str, key: str) -> str:
        """A file of known hosts with one of the keys as the server's."""
        public = (self.path / f"{key}.pub").read_text(encoding="ascii")
        file = self.path / name
        file.write_text(f"[127.0.0.1]:{self.port} {public}", encoding="ascii")
        return str(file)

    def instance(self, shelf: Shelf, *, identity: str = "user", known_hosts: str = "known_hosts") -> SshInstance:
        """A shelf as it is seen from another machine."""
        name, command = f"{shelf.name}-1", shelf.instance.command
        return self.named(name, command=command, port=shelf.port, identity=identity, known_hosts=known_hosts)

    def named(
        self, name: str, *, identity: str = "user", known_hosts: str = "known_hosts", **told_by: Any
    ) -> SshInstance:
        """A process of it, told by its ``command`` or ``port``."""
        return SshInstance(
            id=name,
            host="127.0.0.1",
            ssh_port=self.port,
            identity=str(self.path / identity),
            known_hosts=str(self.path / known_hosts),
            **told_by,
        )

    def sessions(self) -> list[list[int]]:
        """The processes that serve those who have logged in."""
        children = {pid: process.parent(pid) for pid in process.pids()}
        found, ahead = [], [self.process.pid]
        while ahead:
            above = ahead.pop()
            below = [pid for pid, parent in children.items() if parent == above]
            found, ahead = found + below, ahead + below
        return [[pid, ticks] for pid in found if (ticks := start_ticks(pid)) is not None]

    def keepers(self) -> list[list[int]]:
        """The processes that were started through it and stay, by pid and start time."""
        found = []
        for pid in process.pids():
            with suppress(OSError):
                if f"{_MARK}={self.path}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append([pid, start_ticks(pid)])
        return [[pid, ticks] for pid, ticks in found if ticks is not None]

    def clients(self) -> list[list[int]]:
        """Our own processes that hold a connection to it."""
        open_ones = psutil.net_connections("tcp4")
        pids = {each.pid for each in open_ones if each.pid and each.raddr and each.raddr.port == self.port}
        return [[pid, ticks] for pid in pids if (ticks := start_ticks(pid)) is not None]

    def cut(self) -> None:
        """Cut all connections, without a word to either side's programs; new ones can be made."""
        sessions = self.sessions()
        process.send_all(sessions, signal.SIGKILL)
        for pid, ticks in sessions:
            assert process.wait_gone(pid, ticks, 10)

    def end(self) -> None:
        """The server, then its connections: a machine that cannot be reached."""
        if self.process.poll() is None:
            process.end_child(self.process, signal.SIGSTOP)  # it takes no new ones meanwhile
            self.cut()
            self.process.kill()
            self.process.wait()

    def clear(self) -> None:
        """Whatever is left."""
        self.end()
        shutil.rmtree(self.path)


@contextmanager
def machine() -> Iterator[Sshd]:
    """One of our own, gone with its keys at the end."""
    if reason := lacking():
        missing(reason)
    made = Sshd()
    try:
        yield made
    finally:
        made.clear()
