"""A process of ours on another machine that strikes processes there, and puts them right when nobody renews its lease.

It has no file: it is found by an abstract Unix socket with the injection's name, where it takes one message a
connection, from its own user or root only: ``end``, or the seconds for which it may hold on. Whatever ends it, short of
SIGKILL, has them put right first. Standard library only, and sent over by ``executor.drivers.ssh.driver``.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, NoReturn

from executor.clock import boottime
from executor.drivers.ssh.jobs import Job
from executor.errors import FaultGoneError, MurphyError, UnavailableError

ANSWERS_WITHIN_S: Final = 3.0
_LOOKS_EVERY_S: Final = 1.0
"""The clock of a wait stands still while the machine sleeps; the lease's does not."""
_SOONEST_S: Final = 0.001
_TRIES: Final = 3
"""How often it tries to put right what does not come right; then that is left to whoever asks for it."""
_AGAIN_S: Final = 1.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STRUCK: Final = "struck"
_ASKED: Final = 0.0
"""A lease that ends at the very boot was ended by whoever asked for that."""
_GONE: Final = "the machine undid the fault: its lease lapsed, or its keeper was ended."


def start(name: str, job: Job, lease_s: float, *, where: str) -> None:
    """Have a process in a session of its own strike, and put it right ``lease_s`` seconds after that if nobody renews.

    Raises ``UnavailableError`` if it could not strike, or a keeper of that name is there; what was done is put right.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(_address(name))
    except OSError as error:
        listener.close()
        raise UnavailableError(f"its keeper cannot begin: {error.strerror}.", where=where) from None
    listener.listen()
    hears, says = os.pipe()
    if os.fork() == 0:
        os.close(hears)
        _keep(listener, job, lease_s, says)
    os.close(says)
    listener.close()
    with os.fdopen(hears, encoding="utf-8") as told:
        said = told.read()
    if said == _STRUCK:
        return
    with suppress(UnavailableError):  # it takes its time, and goes on
        end(name)
    if not said:  # killed in the middle
        job.mend()
    raise UnavailableError(said or f"{where}: its keeper ended.")


def renew(name: str, lease_s: float) -> None:
    """Let the keeper hold on for ``lease_s`` seconds from now. Raises ``FaultGoneError`` if it is gone."""
    with _reached(name) as keeper:
        if keeper is not None:
            with suppress(OSError):  # it ends right now
                keeper.send(repr(float(lease_s)).encode())
                if keeper.recv(16) == b"kept":
                    return
    raise FaultGoneError(_GONE)


def lives(name: str) -> bool:
    """Whether the keeper is there."""
    with _reached(name) as keeper:
        return keeper is not None


def end(name: str, within_s: float = ANSWERS_WITHIN_S) -> None:
    """End the keeper, which tries to put things right first. Nothing if it is gone.

    Raises ``UnavailableError`` if it stays longer than ``within_s`` seconds.
    """
    with _reached(name) as keeper:
        if keeper is None:
            return
        try:
            keeper.settimeout(within_s)
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
        connection.settimeout(ANSWERS_WITHIN_S)
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


def _keep(listener: socket.socket, job: Job, lease_s: float, says: int) -> NoReturn:
    """The keeper's life."""
    for number in _SIGNALS:
        signal.signal(number, _leave)
    tries = _TRIES
    try:
        os.setsid()
        os.chdir("/")
        _be_silent()
        try:
            said = _strike(job)
            until = boottime() + lease_s
            _tell(says, said)
            while said == _STRUCK and (left := until - boottime()) > 0:
                until = _heard(listener, until, max(_SOONEST_S, min(left, _LOOKS_EVERY_S, job.turn())))
            tries = 1 if until == _ASKED else _TRIES  # who asks tries again
        finally:
            _mend(job, tries)
    finally:
        os._exit(0)  # nothing of the session that started it is to run here


def _strike(job: Job) -> str:
    """What to tell the caller. What could not be done whole is put right at once."""
    try:
        job.strike()
    except (MurphyError, OSError) as error:
        return str(error) or type(error).__name__
    return _STRUCK


def _mend(job: Job, tries: int) -> None:
    """Put right; no signal breaks into that."""
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    finally:
        for left in reversed(range(tries)):
            try:
                job.mend()
                break
            except (MurphyError, OSError):
                time.sleep(_AGAIN_S if left else 0)


def _leave(number: int, frame: object) -> NoReturn:
    del frame
    signal.signal(number, signal.SIG_IGN)  # a second one must not keep it from putting right
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
            connection.detach()  # closed by our end, once all is put right: so the caller knows
            return _ASKED
        until = boottime() + float(said)
        connection.send(b"kept")
    return until
