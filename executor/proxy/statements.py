"""Where statements begin in what a client of PostgreSQL sends (frontend/backend protocol 3).

Source: PostgreSQL documentation, "Message Formats": a first message of length and code, then messages of a type, a
length that counts itself, and a body.
"""

from __future__ import annotations

import struct
from typing import Final

_STATEMENTS: Final = b"QEF"
"""Query, Execute and FunctionCall: what makes the server work. Parse and Bind only prepare it."""
_WAITED_FOR: Final = b"QSF"
"""Query, Sync and FunctionCall: the server says ReadyForQuery once for each of them, and once for a log-in."""
_ASKS_FOR_ENCRYPTION: Final = (80877103, 80877104)
_CANCEL: Final = 80877102
_FIRST: Final = struct.Struct("!II")
_HEAD: Final = struct.Struct("!cI")


class Statements:
    """Reads along one connection, from its first byte on."""

    def __init__(self) -> None:
        self._head = b""
        """What has come of the head of the next message."""
        self._skip = 0
        """Bytes still to come of the message before it."""
        self._started = False
        self._readable = True
        self.wishes = 0
        """How often it has asked for encryption."""
        self.waited_for = 0
        """How many messages it has sent whose end the server announces; they may come one upon the other."""

    @property
    def logs_in(self) -> bool:
        """Whether it is a client of PostgreSQL that logs in, or has, unencrypted."""
        return self._started and self._readable

    def begun_in(self, data: bytes) -> int | None:
        """How many statements begin in the bytes that come next; ``None`` if that cannot be told: encrypted, say."""
        found = 0
        while data and self._readable:
            if self._skip:
                passed = min(self._skip, len(data))
                self._skip -= passed
                data = data[passed:]
                continue
            wanted = (_HEAD if self._started else _FIRST).size - len(self._head)
            self._head += data[:wanted]
            data = data[wanted:]
            found += self._begun()
        return found if self._readable else None

    def _begun(self) -> bool:
        """Whether the head that is there now, whole, is a statement's."""
        if len(self._head) < (_HEAD if self._started else _FIRST).size:
            return False
        head, self._head = self._head, b""
        if self._started:
            kind, length = _HEAD.unpack(head)
            self._readable = length >= 4
            self._skip = length - 4
            self.waited_for += kind in _WAITED_FOR
            return kind in _STATEMENTS
        length, code = _FIRST.unpack(head)
        if code in _ASKS_FOR_ENCRYPTION:  # if it gets it, what follows cannot be read
            self._readable = length == _FIRST.size
            self.wishes += self._readable
        else:
            self._started = True
            self._readable = (code >> 16 == 3 or code == _CANCEL) and length >= _FIRST.size
            self._skip = length - _FIRST.size
            self.waited_for += 1
        return False
