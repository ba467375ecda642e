"""Talking to QEMU in its own protocol (QMP): one JSON object a line over a Unix socket. Standard library only.

Source: https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from executor.clock import start_ticks
from executor.drivers.driver import Record
from executor.errors import UnavailableError
from executor.kernel import process

_ANSWERS_S = 5.0
"""QEMU serves one client at a time; another waits, and whoever holds the socket for good is to be told of."""
_LONGEST = 2**20


class Session:
    """A conversation with one QEMU, ready for commands."""

    def __init__(self, connection: socket.socket, lines: BinaryIO, where: str) -> None:
        self._connection, self._lines, self._where = connection, lines, where
        self._events: list[Mapping[str, Any]] = []
        pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.pid: int = pid
        """The process that takes the commands."""
        self.ticks = start_ticks(pid)
        """Its start time; ``None`` if it cannot be seen from here."""

    def begin(self) -> None:
        """The greeting, and the word that we understand it."""
        if "QMP" not in self._read(_ANSWERS_S):
            raise UnavailableError("is answered by something else than QEMU's QMP.", where=self._where)
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """What QEMU returns. Raises ``UnavailableError`` with its own words if it refuses."""
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._read(_ANSWERS_S)
            if "event" in answer:
                self._events.append(answer)
            elif "return" in answer:
                return answer["return"]
            else:
                words = str(answer.get("error", {}).get("desc", answer)).rstrip(".")
                raise UnavailableError(f"QEMU refuses {command}: {words}.", where=self._where)

    def event(self, name: str, within_s: float, **data: Any) -> bool:
        """Whether QEMU has told, or tells within ``within_s`` seconds, of an event with such data."""
        until = time.monotonic() + within_s
        while True:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return True
            self._events.clear()
            left = until - time.monotonic()
            if left <= 0:
                return False
            try:
                self._events.append(self._read(left))
            except TimeoutError:
                return False

    def _read(self, within_s: float) -> dict[str, Any]:
        self._connection.settimeout(within_s)
        line = self._lines.readline(_LONGEST)
        if not line:
            raise UnavailableError("QEMU has hung up.", where=self._where)
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def session(path: str) -> Iterator[Session]:
    """A session with whatever QEMU serves that socket, closed at the end.

    Raises ``UnavailableError`` if none does, if it serves somebody else, or for what goes wrong in it.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWERS_S)
    try:
        with connection, connection.makefile("rb") as lines:
            _connect(connection, path)
            opened = Session(connection, lines, path)
            opened.begin()
            yield opened
    except TimeoutError:
        raise UnavailableError(
            "QEMU does not answer; it serves one client a socket at a time.", where=path, hint="Give Murphy its own."
        ) from None
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise UnavailableError(f"QEMU cannot be asked: {words}.", where=path) from None


def _connect(connection: socket.socket, path: str) -> None:
    """Wait where others wait already: their queue is short, and a full one is no answer. Raises ``TimeoutError``."""
    deadline = time.monotonic() + _ANSWERS_S
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(0.02)
        else:
            return


@contextmanager
def session_of(record: Record) -> Iterator[Session]:
    """A session with the very QEMU of the record (``qmp``, ``members``, ``instance``).

    Raises as ``session`` does, and if another process serves the socket now.
    """
    with session(record["qmp"]) as opened:
        if [opened.pid, opened.ticks] != list(record["members"][0]):
            raise UnavailableError("the machine of then is gone; another one runs.", where=record["instance"])
        yield opened


def asked(record: Record, question: Callable[[Session], bool]) -> bool | None:
    """The answer of the very QEMU of the record; ``False`` if it is gone, ``None`` if it cannot be asked."""
    if not process.alive(*record["members"][0]):
        return False
    try:
        with session_of(record) as opened:
            return question(opened)
    except UnavailableError:
        return None
