"""The proxy's control socket: one JSON object a line is asked, one a line answered. Only its owner may open it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from executor.errors import UnavailableError
from executor.proxy.server import LONGEST_LEASE_S, Proxy

LINE_BYTES: Final = 65_536
_TOO_LONG: Final = {"error": f"a line may have at most {LINE_BYTES} bytes"}
_FIELDS: Final[dict[str, frozenset[str]]] = {
    "edges": frozenset(),
    "put": frozenset({"edge", "mark", "lease_s", "fault"}),
    "renew": frozenset({"mark", "lease_s"}),
    "drop": frozenset({"mark"}),
    "active": frozenset({"mark"}),
    "counters": frozenset({"edge"}),
    "tally": frozenset({"mark"}),
}
"""Each command and the fields it takes, all of them needed."""


class Control:
    """Listens on the control socket and carries out what is asked on ``proxy``."""

    def __init__(self, proxy: Proxy, path: str) -> None:
        self._proxy = proxy
        self._path = path
        self._server: asyncio.Server | None = None
        self._talks: set[_Talk] = set()

    async def listen(self) -> None:
        """Begin to listen, mode 0600; a socket that a dead proxy left is replaced.

        Raises ``UnavailableError`` if a living proxy listens there, or the path cannot be used.
        """
        if _answers(self._path):
            raise UnavailableError(
                "another proxy listens on this control socket.", where=self._path, hint="End it first."
            )
        before = os.umask(0o177)
        try:
            Path(self._path).unlink(missing_ok=True)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: _Talk(self._proxy, self._talks), self._path)
        except OSError as error:
            raise UnavailableError(f"the control socket cannot be made ({error.strerror}).", where=self._path) from None
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Listen no more, remove the socket and let go of whoever is connected."""
        if self._server:
            self._server.close()
            Path(self._path).unlink(missing_ok=True)
        for talk in [*self._talks]:
            talk.end()
        while self._talks:
            await asyncio.sleep(0)


class _Talk(asyncio.Protocol):
    """One connection. A hundred faults are dropped over a hundred of them at once, so it makes no task of its own."""

    _transport: asyncio.Transport

    def __init__(self, proxy: Proxy, talks: set[_Talk]) -> None:
        self._proxy, self._talks, self._rest = proxy, talks, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._talks.add(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(answer(self._proxy, line) if len(line) <= LINE_BYTES else _TOO_LONG)
        if len(self._rest) > LINE_BYTES:  # no way to find where the next line begins
            self._say(_TOO_LONG)
            self._rest = b""
            self._transport.close()

    def eof_received(self) -> None:
        if self._rest:
            self._say(answer(self._proxy, self._rest))

    def pause_writing(self) -> None:
        """Whoever does not read the answers is not heard either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whoever asked is gone, or was let go
        self._talks.discard(self)

    def end(self) -> None:
        """Close at once: an answer that is not sent yet is one that is not read."""
        self._transport.abort()

    def _say(self, told: dict[str, Any]) -> None:
        self._transport.write(json.dumps(told).encode() + b"\n")


def answer(proxy: Proxy, line: bytes) -> dict[str, Any]:
    """Carry out one line: ``{"ok": true, …}``, or ``{"error": "one sentence"}`` and nothing has changed."""
    try:
        command, values = _parse(line)
        do: Callable[..., dict[str, Any]] = getattr(proxy, command)
        return {"ok": True, **do(**values)}
    except ValueError as error:
        return {"error": str(error)}


def _parse(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("the line is not JSON") from None
    if not isinstance(asked, dict):
        raise ValueError("the line must be a JSON object")  # noqa: TRY004 (one error type for bad input)
    command = asked.pop("do", None)
    if not isinstance(command, str) or command not in _FIELDS:
        raise ValueError(f"do must be one of {', '.join(_FIELDS)}, not {command!r}")
    wanted = _FIELDS[command]
    if missing := wanted - asked.keys():
        raise ValueError(f"{command} lacks {', '.join(sorted(missing))}")
    if unknown := asked.keys() - wanted:
        raise ValueError(f"{command} has unknown {', '.join(sorted(unknown))}")
    for name in wanted & {"edge", "mark"}:
        if not isinstance(asked[name], str) or not asked[name]:
            raise ValueError(f"{name} must be text, not {asked[name]!r}")
    lease_s = asked.get("lease_s", 1)
    if isinstance(lease_s, bool) or not isinstance(lease_s, int | float) or not 0 < lease_s <= LONGEST_LEASE_S:
        raise ValueError(f"lease_s must be a number above 0 and at most {LONGEST_LEASE_S:g}, not {lease_s!r}")
    return command, asked


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(path)
        except OSError:
            return False
        return True
