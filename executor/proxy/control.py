"""The proxy's control socket: one JSON object a line is asked, one a line answered. Only its owner may open it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from executor.errors import UnavailableError
from executor.proxy.server import LONGEST_LEASE_S, Proxy

LINE_BYTES: Final = 65_536
_FIELDS: Final[dict[str, frozenset[str]]] = {
    "edges": frozenset(),
    "put": frozenset({"edge", "mark", "lease_s", "fault"}),
    "renew": frozenset({"mark", "lease_s"}),
    "drop": frozenset({"mark"}),
    "active": frozenset({"mark"}),
    "counters": frozenset({"edge"}),
}
"""Each command and the fields it takes, all of them needed."""


class Control:
    """Listens on the control socket and carries out what is asked on ``proxy``."""

    def __init__(self, proxy: Proxy, path: str) -> None:
        self._proxy = proxy
        self._path = path
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

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
            self._server = await asyncio.start_unix_server(self._talk, self._path, limit=LINE_BYTES)
        except OSError as error:
            raise UnavailableError(f"the control socket cannot be made ({error.strerror}).", where=self._path) from None
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Listen no more, remove the socket and let go of whoever is connected."""
        if self._server:
            self._server.close()
            Path(self._path).unlink(missing_ok=True)
        for writer in self._talks.values():
            writer.close()
        if talks := [task for task in self._talks if task]:
            await asyncio.wait(talks)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        self._talks[talk] = writer
        try:
            with suppress(OSError):  # whoever asked is gone
                await self._answer_lines(reader, writer)
        finally:
            del self._talks[talk]
            writer.close()

    async def _answer_lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(answer(self._proxy, line)).encode() + b"\n")
                await writer.drain()
        except ValueError:  # no way to find where the next line begins
            writer.write(json.dumps({"error": f"a line may have at most {LINE_BYTES} bytes"}).encode() + b"\n")
            await writer.drain()


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
