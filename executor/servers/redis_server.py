"""Short sessions on a Redis server. redis-py is loaded only when one is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from executor import secrets
from executor.errors import UnavailableError
from executor.kernel import process

if TYPE_CHECKING:
    from executor.drivers.targets import ProcessTarget

TECHNOLOGIES = ("redis", "valkey")
_CONNECT_S = 3.0
_ANSWER_S = 10.0


class RefusedError(UnavailableError):
    """The server answers, and does not let this user in."""


class SilentError(UnavailableError):
    """The server takes connections, and does not answer in time."""


@contextmanager
def session(reference: str, login: tuple[str, str] | None = None, *, answer_s: float = _ANSWER_S) -> Iterator[Any]:
    """A client on one connection at the URL behind ``reference``, which is revealed here and nowhere else.

    ``login`` is a user and password to use instead of the URL's. Raises ``RefusedError`` if the server does not let it
    in, ``SilentError`` if an answer takes longer than ``answer_s`` seconds, and ``UnavailableError`` for whatever else
    goes wrong in it.
    """
    import redis

    try:
        pool = redis.ConnectionPool.from_url(secrets.reveal(reference), protocol=2)
    except ValueError:  # its text may quote the URL
        raise UnavailableError("holds no redis:// URL that can be read.", where=reference) from None
    pool.connection_kwargs |= {"socket_connect_timeout": _CONNECT_S, "socket_timeout": answer_s, "protocol": 2}
    if login:
        pool.connection_kwargs |= dict(zip(("username", "password"), login, strict=True))
    try:
        with redis.Redis(connection_pool=pool, single_connection_client=True) as client:  # connects at once
            client.ping()
            yield client
    except redis.AuthenticationError as error:
        raise RefusedError(f"Redis says: {str(error).rstrip('.')}.", where=reference) from None
    except redis.TimeoutError:
        raise SilentError(f"Redis does not answer within {answer_s:g} s.", where=reference) from None
    except redis.RedisError as error:
        raise UnavailableError(f"Redis says: {str(error).rstrip('.')}.", where=reference) from None
    finally:
        pool.disconnect()


def refused(client: Any, commands: Sequence[Sequence[bytes | str | int]]) -> str | None:
    """What the server says against a command, and would before doing it: no right to it, no such command, no memory.

    Nothing is done: they are queued as a transaction, where all of that is looked at, and thrown away in one go.
    """
    import redis

    line = client.connection
    line.send_packed_command(line.pack_commands([("MULTI",), *commands, ("DISCARD",)]))
    said = []
    for _ in range(len(commands) + 2):
        try:
            line.read_response()
        except redis.ResponseError as error:
            said.append(str(error))
    return said[0] if said else None


def text(value: bytes | str) -> str:
    """What the server says as bytes or text, as the client was told."""
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def session_of(target: ProcessTarget, *, administrator: bool = False) -> Iterator[Any]:
    """A client that surely speaks to the target's process. Raises ``UnavailableError`` that says why not.

    At the service's dsn, or at its admin_dsn for an ``administrator``.
    """
    service = target.service
    reference = service.admin_dsn if administrator else service.dsn
    if service.technology not in TECHNOLOGIES:
        raise UnavailableError("is not known to be Redis; say so (technology) in system.yaml.", where=service.name)
    if reference is None:
        field = "admin_dsn" if administrator else "dsn"
        raise UnavailableError(
            f"has no {field}; name one in system.yaml, for instance env:SHOP_REDIS.", where=service.name
        )
    with session(reference) as client:
        if not process.is_called(target.pid, client.info("server")["process_id"]):
            raise UnavailableError(
                f"leads to another server than process {target.pid}; nothing is done there.", where=reference
            )
        process.require(target.pid, target.start_ticks)
        yield client
