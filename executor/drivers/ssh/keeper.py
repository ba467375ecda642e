"""A process of ours on another machine that stops processes there, and lets them go on when nobody renews its lease.

It has no file: it is found by an abstract Unix socket with the injection's name, where it takes one message a
connection, from its own user or root only: ``end``, or the seconds for which it may hold on. Whatever ends it, short of
SIGKILL, lets them go on first. Standard library only, and sent over by ``executor.drivers.ssh.driver``.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import NoReturn

from executor.clock import boottime
from executor.errors import FaultGoneError, MurphyError, UnavailableError
from executor.kernel import process

Members = list[list[int]]
_ANSWERS_WITHIN_S = 3.0
_LOOKS_EVERY_S = 1.0
"""The clock of a wait stands still while the machine sleeps; the lease's does not."""
_HELD = "held"
_GONE = "the machine let the process go on: its lease lapsed, or its keeper was ended."


def start(name: str, members: Members, lease_s: float, *, where: str) -> None:
    """Stop these very processes for ``lease_s`` seconds at first, held by a process in a session of its own.

    Raises ``UnavailableError`` if the first is gone, one may not be signalled, or a keeper of that name is there; then
    all go on.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(_address(name))
    except OSError as error:
        listener.close()
        raise UnavailableError(f"cannot be held still: {error.strerror}.", where=where) from None
    listener.listen()
    hears, says = os.pipe()
    if os.fork() == 0:
        os.close(hears)
        _keep(listener, members, lease_s, says, where)
    os.close(says)
    listener.close()
    with os.fdopen(hears, encoding="utf-8") as told:
        said = told.read()
    if said != _HELD:
        end(name)
        raise UnavailableError(said or f"{where}: cannot be held still: its keeper ended.")


def renew(name: str, lease_s: float) -> None:
    """Let the keeper hold on for ``lease_s`` seconds from now. Raises ``FaultGoneError`` if it is gone."""
    with _reached(name) as keeper:
        if keeper is not None:
            with suppress(OSError):  # it ends right now
                keeper.send(repr(float(lease_s)).encode())
                if keeper.recv(16) == b"kept":
                    return
    raise FaultGoneError(_GONE)


def end(name: str) -> None:
    """End the keeper, whose processes go on then. Nothing if it is gone. Raises ``UnavailableError`` if it stays."""
    with _reached(name) as keeper:
        if keeper is None:
            return
        try:
            keeper.send(b"end")
            keeper.recv(16)
        except TimeoutError:
            raise UnavailableError("the keeper does not end.", where=name) from None
        except OSError:
            return  # it has ended by itself meanwhile


def _address(name: str) -> str:
    return f"\0{name}"


@contextmanager
def _reached(name: str) -> Iterator[socket.socket | None]:
    """A connection to the keeper; ``None`` if it is gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(_ANSWERS_WITHIN_S)
        try:
            connection.connect(_address(name))
        except ConnectionRefusedError:
            yield None
            return
        if not _ours(connection):
            raise UnavailableError("another user has taken the keeper's name.", where=name)
        yield connection


def _ours(connection: socket.socket) -> bool:
    """Whether root or our own user is at the other end."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", raw)[1] in (0, os.getuid())


def _keep(listener: socket.socket, members: Members, lease_s: float, says: int, where: str) -> NoReturn:
    """The keeper's life."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        os.setsid()
        os.chdir("/")
        _be_silent()
        until = boottime() + lease_s
        try:
            _tell(says, _held(members, where))
            while (left := until - boottime()) > 0:
                until = _heard(listener, until, min(left, _LOOKS_EVERY_S))
        finally:
            process.send_all(reversed(members), signal.SIGCONT)
    finally:
        os._exit(0)  # nothing of the session that started it is to run here


def _held(members: Members, where: str) -> str:
    """Stop them; what to tell the caller, who lets go of what could not be stopped."""
    try:
        process.hold(members, where=where)
    except (MurphyError, OSError) as error:
        return str(error)
    return _HELD


def _leave(number: int, frame: object) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_IGN)  # a second one must not keep them from going on
    raise SystemExit


def _be_silent() -> None:
    """Hold nothing of the session open: it is to end when its own work is done."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)


def _tell(says: int, words: str) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more
        os.write(says, words.encode())
    os.close(says)


def _heard(listener: socket.socket, until: float, wait_s: float) -> float:
    """Take one message, if one comes; returns until when to hold on."""
    listener.settimeout(wait_s)
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return until
    with closing(connection), suppress(OSError, ValueError):
        connection.settimeout(_LOOKS_EVERY_S)
        said = connection.recv(64) if _ours(connection) else b""
        if said == b"end":
            connection.detach()  # closed by our end, once they go on: so the caller knows
            return 0.0
        until = boottime() + float(said)
        connection.send(b"kept")
    return until
