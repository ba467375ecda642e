"""Whether a transaction is open in a session of PostgreSQL, from what its server sends (frontend/backend protocol 3).

Source: PostgreSQL documentation, "Message Formats": ReadyForQuery says so, whenever the server waits for a command.
"""

from __future__ import annotations

import struct
from typing import Final

from executor.proxy.statements import Statements

_READY: Final = b"Z"
_NO_TRANSACTION: Final = b"I"
_REFUSED: Final = b"N"
"""The one byte that answers a wish for encryption, if it is not granted."""
_HEAD: Final = struct.Struct("!cI")


class Transactions:
    """Reads along one connection's answers, from the first byte on; ``statements`` reads its calls."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._refused = 0
        """Wishes for encryption that were answered."""
        self._head = b""
        self._skip = 0
        self._readable = True
        self._status = b""
        self._ready = 0
        """How often the server has said that it waits for a command."""

    @property
    def under_way(self) -> bool | None:
        """Whether a log-in, command or transaction is; ``None`` if that cannot be told: encrypted, say."""
        if not self._statements.logs_in or not self._readable:
            return None
        return self._ready < self._statements.waited_for or self._status != _NO_TRANSACTION

    def asked(self) -> None:
        """The client sent something."""
        self._status = b""

    def answered(self, data: bytes) -> None:
        """The server sent these bytes, which come next."""
        while data and self._readable:
            if self._refused < self._statements.wishes:
                self._refused += 1
                self._readable = data[:1] == _REFUSED
                data = data[1:]
            elif self._skip:
                passed = min(self._skip, len(data))
                self._skip -= passed
                data = data[passed:]
            else:
                wanted = _HEAD.size + self._head.startswith(_READY) - len(self._head)
                self._head += data[:wanted]
                data = data[wanted:]
                self._begun()

    def _begun(self) -> None:
        ready = self._head.startswith(_READY)
        if len(self._head) < _HEAD.size + ready:
            return
        head, self._head = self._head, b""
        _, length = _HEAD.unpack(head[: _HEAD.size])
        self._readable = length >= 4 + ready
        self._skip = length - 4 - ready
        if ready:
            self._ready += 1
            self._status = head[-1:]
