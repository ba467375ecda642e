"""Where the server is to which a connection string leads."""

from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit

from executor import secrets
from executor.errors import UnavailableError

_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "nats": 4222, "http": 80, "https": 443}
_POSTGRESQL = ("postgres", "postgresql")
_POSTGRESQL_PORT = 5432
_HERE = "here"
"""What all addresses of this machine are called, and the sockets of a PostgreSQL: they may lead to one server."""


def address_of(reference: str) -> set[tuple[str, int]]:
    """Addresses and port of the server, those of this machine as one; for another socket than PostgreSQL's its path.

    Nothing of the string is kept or said.
    Raises ``UnavailableError`` if the string is not there or names no server that has an address.
    """
    text = secrets.reveal(reference)
    try:
        parts = urlsplit(text)
        if parts.scheme in _POSTGRESQL or not parts.scheme or "://" not in text:
            host, port = _postgresql(text)
            host = _HERE if host.startswith(("/", "@")) else host
        elif parts.scheme == "unix":
            host, port = unquote(parts.path), 0
        else:
            host, port = unquote(parts.hostname or "127.0.0.1"), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise UnavailableError("holds no connection string that can be read.", where=reference) from None
    if host == _HERE or host.startswith("/"):
        return {(host, port)}
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        return {(_HERE if is_here(each) else each, port) for each in found}
    except OSError as error:
        raise UnavailableError(f"names a server without an address ({error.strerror}).", where=reference) from None


def is_here(address: str) -> bool:
    """Whether it is an address of this machine: only such a one can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _postgresql(text: str) -> tuple[str, int]:
    """As libpq reads it. Raises ``ValueError``."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = conninfo_to_dict(text)
    except psycopg.Error:  # its text may quote the connection string
        raise ValueError from None
    host = str(found.get("hostaddr") or found.get("host") or "127.0.0.1")
    return host, int(str(found.get("port") or _POSTGRESQL_PORT))
