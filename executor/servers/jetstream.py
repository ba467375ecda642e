"""Short sessions on a NATS server, for its streams. nats-py is loaded only when one is opened."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from executor import extras, secrets
from executor.errors import UnavailableError
from executor.servers import served

if TYPE_CHECKING:
    from nats.aio.client import Client

    from executor.drivers.targets import ProcessTarget

TECHNOLOGIES = ("nats",)
HEADER: Final = "Murphy-Mark"
"""Header of each message of ours; its value is the mark."""
_CONNECT_S, _ANSWER_S, _FLUSH_S = 3, 5.0, 2
_NO_MESSAGE, _NO_SEQUENCE = 10037, 10043
NO_STREAM: Final = 10059
"""What the server says of a stream that is not there."""
_SIDE_BY_SIDE = 16
"""Questions to the server at a time."""


Result = TypeVar("Result")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What it comes to; in a thread that runs no other."""
    import asyncio  # the watchdog loads this module, and mostly in vain

    return asyncio.run(coroutine)


class Streams:
    """What is asked of the server's streams. Each raises ``UnavailableError`` in the server's words."""

    def __init__(self, line: Client) -> None:
        self._line = line

    async def ask(self, what: str, *, unless: Iterable[int] = (), **content: Any) -> dict[str, Any] | None:
        """The answer to one question of JetStream's API; ``None`` if it is one of these errors."""
        body = json.dumps(content).encode() if content else b""
        answer: dict[str, Any] = json.loads((await self._line.request(f"$JS.API.{what}", body, timeout=_ANSWER_S)).data)
        if error := answer.get("error"):
            if error.get("err_code") in unless:
                return None
            raise UnavailableError(f"NATS says: {str(error.get('description', error)).rstrip('.')}.")
        return answer

    async def about(self, stream: str) -> dict[str, Any]:
        """A stream's configuration, state and time of creation."""
        found = await self.ask(f"STREAM.INFO.{stream}")
        assert found is not None
        return found

    async def room(self, storage: str) -> int | None:
        """Bytes that the account may still keep in ``file`` or ``memory``; ``None`` if it has no limit of its own."""
        found = await self.ask("INFO")
        assert found is not None
        kept, most = {"file": ("storage", "max_storage"), "memory": ("memory", "max_memory")}[storage]
        limits = [found, *(found.get("tiers") or {}).values()]
        left = [each["limits"][most] - each[kept] for each in limits if each.get("limits", {}).get(most, -1) >= 0]
        return min(left, default=None)

    async def all(self) -> list[dict[str, Any]]:
        """The configurations of all streams."""
        found: list[dict[str, Any]] = []
        while (page := await self.ask("STREAM.LIST", offset=len(found))) and page["streams"]:
            found += [stream["config"] for stream in page["streams"]]
        return found

    async def publish(self, subject: str, headers: dict[str, str], body: bytes) -> None:
        """One message, and see it stored. ``UnavailableError`` too if somebody else answers, who got it as well."""
        said = (await self._line.request(subject, body, timeout=_ANSWER_S, headers=headers)).data
        try:
            answer = json.loads(said)
            error, stored = answer.get("error"), "stream" in answer
        except (ValueError, AttributeError):
            error, stored = None, False
        if error:
            raise UnavailableError(f"NATS says: {str(error.get('description', error)).rstrip('.')}.")
        if not stored:
            raise UnavailableError(f"somebody else than the queue answers to what comes by {subject}.")

    async def marked(self, stream: str, subject: str, mark: str, first: int, last: int) -> list[int]:
        """Sequence numbers of our messages among those from ``first`` to ``last``, both included."""
        import asyncio

        each = max(1, -(-(last + 1 - first) // _SIDE_BY_SIDE))
        parts = [(start, min(start + each - 1, last)) for start in range(first, last + 1, each)]
        found = await asyncio.gather(*(self._marked(stream, subject, mark, *part) for part in parts))
        return [sequence for part in found for sequence in part]

    async def _marked(self, stream: str, subject: str, mark: str, first: int, last: int) -> list[int]:
        line, found = f"\r\n{HEADER}: {mark}\r\n".encode(), []
        while first <= last:
            about = {"seq": first, "next_by_subj": subject}
            answer = await self.ask(f"STREAM.MSG.GET.{stream}", unless=[_NO_MESSAGE], **about)
            if answer is None or answer["message"]["seq"] > last:
                break
            first = answer["message"]["seq"] + 1
            if line in b64decode(answer["message"].get("hdrs", "")):
                found.append(first - 1)
        return found

    async def delete(self, stream: str, sequences: list[int]) -> None:
        """Take messages out of a stream, without overwriting them on the disk first."""
        import asyncio

        for start in range(0, len(sequences), _SIDE_BY_SIDE):
            part = sequences[start : start + _SIDE_BY_SIDE]
            gone = (_NO_MESSAGE, _NO_SEQUENCE)
            asked = [self.ask(f"STREAM.MSG.DELETE.{stream}", unless=gone, seq=n, no_erase=True) for n in part]
            await asyncio.gather(*asked)


@asynccontextmanager
async def session(reference: str) -> AsyncIterator[Streams]:
    """A session at the URL behind ``reference``, which is revealed here and nowhere else.

    At its end the server has taken all that was said. Raises ``UnavailableError`` for whatever goes wrong in it.
    """
    from nats.aio.client import Client
    from nats.errors import Error

    async def ignored(_: Exception) -> None:
        """What goes wrong is raised where it is asked; nats-py would print it too."""

    once: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
    url, line = secrets.reveal(reference), Client()
    try:
        try:
            await line.connect(url, connect_timeout=_CONNECT_S, error_cb=ignored, **once)
        except (Error, OSError, ValueError, TypeError) as error:  # its text may quote the URL
            raise UnavailableError(f"no NATS server lets us in ({type(error).__name__}).", where=reference) from None
        yield Streams(line)
        await line.flush(_FLUSH_S)
    except (Error, OSError) as error:
        raise UnavailableError(f"the NATS server does not answer ({type(error).__name__}).", where=reference) from None
    finally:
        with suppress(Error, OSError, AssertionError):  # the last if it never got as far as to connect
            await line.close()


def require(target: ProcessTarget) -> str:
    """The reference to a session that surely is served by the target's process. Raises ``UnavailableError``."""
    service = target.service
    if service.technology not in TECHNOLOGIES:
        raise UnavailableError("is not known to be NATS; say so (technology) in system.yaml.", where=service.name)
    if service.dsn is None:
        raise UnavailableError("has no dsn; name one in system.yaml, for instance env:SHOP_NATS.", where=service.name)
    if reason := extras.lacking("nats"):
        raise UnavailableError(reason, where=service.name)
    try:
        found = urlsplit(secrets.reveal(service.dsn))
        host, port = found.hostname, found.port or 4222
    except ValueError:
        host, port = None, 0
    if not host:
        raise UnavailableError("holds no nats:// URL that can be read.", where=service.dsn)
    served.require(target, host, port, where=service.dsn)
    return service.dsn
