"""Faults on credentials: the clerk's role in PostgreSQL, the auditor's user in Redis, and who is none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import redis

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.infrastructure import Credentials
from executor.model.plan import InstanceTarget
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import service
from tests.executor.faults.servers import Postgres, Redis

_ROLES = (
    "SELECT rolname, rolcanlogin, rolpassword, rolvaliduntil FROM pg_authid WHERE rolname NOT LIKE 'pg\\_%%' ORDER BY 1"
)
_TRIES = 5


class Clerk:
    """A role with a password, a session of it, and an administrator. Other roles and that session are bystanders."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.system = service(server, "postgres", "postgresql", admin_dsn="env:TEST_ADMIN")
        self.url = server.url("clerk").replace("clerk@", f"clerk:{server.password}@")
        os.environ["TEST_POSTGRES"], os.environ["TEST_ADMIN"] = self.url, server.url("postgres", "postgres")
        self.standing = psycopg.connect(self.url, autocommit=True)

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="postgres"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return self._let_in() == ""

    def faulted(self) -> bool:
        said = self._let_in()
        return "password authentication failed" in said or "not permitted to log in" in said

    def _let_in(self) -> str:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error)
        return ""

    def unharmed(self) -> bool:
        """Whether the clerk's session goes on, and the other roles log in."""
        for role in ("shop", "ledger"):
            psycopg.connect(self.server.url(role, role), connect_timeout=5).close()
        return self.standing.execute("SELECT 1").fetchone() == (1,)

    def size(self) -> str:
        assert all(self.faulted() for _ in range(_TRIES)), "some log-ins succeed"
        return f"every log-in of the clerk, {_TRIES} of {_TRIES}"

    def state(self) -> Any:
        return {"roles": self.server.ask(_ROLES), "comments": self.server.ask("SELECT * FROM pg_shdescription")}

    def die(self) -> None:
        self.server.end()

    def revive(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.standing.close()


class Auditor:
    """The same for a user of Redis."""

    def __init__(self, server: Redis) -> None:
        self.server = server
        self.system = service(server, "redis", "redis", admin_dsn="env:TEST_ADMIN")
        os.environ["TEST_REDIS"], os.environ["TEST_ADMIN"] = self._url("auditor"), server.url
        with server.client() as client:
            for name in ("auditor", "other"):
                client.acl_setuser(
                    name, enabled=True, reset=True, passwords=[f"+canary-{name}"], keys=["*"], commands=["+@all"]
                )
        self.standing = redis.Redis.from_url(self._url("auditor"), single_connection_client=True, retry=None)

    def _url(self, name: str) -> str:
        return self.server.url.replace(f":{self.server.password}", f"{name}:canary-{name}")

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="redis"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def _let_in(self, name: str) -> bool:
        try:
            with redis.Redis.from_url(self._url(name), socket_timeout=5, retry=None) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return False

    def normal(self) -> bool:
        with suppress(redis.ConnectionError):
            return self._let_in("auditor")
        return False

    def faulted(self) -> bool:
        return not self._let_in("auditor")

    def unharmed(self) -> bool:
        """Whether the auditor's session goes on, and another user logs in."""
        return bool(self._let_in("other") and self.standing.ping())

    def size(self) -> str:
        assert all(self.faulted() for _ in range(_TRIES)), "some log-ins succeed"
        return f"every log-in of the auditor, {_TRIES} of {_TRIES}"

    def state(self) -> Any:
        with self.server.client() as client:
            return {"users": client.acl_list()}

    def die(self) -> None:
        self.server.end()

    def close(self) -> None:
        self.standing.close()


@contextmanager
def clerk(bench: Bench) -> Iterator[Clerk]:
    made = Clerk(bench.postgres())
    try:
        yield made
    finally:
        made.close()


@contextmanager
def auditor(bench: Bench) -> Iterator[Auditor]:
    made = Auditor(bench.redis())
    try:
        yield made
    finally:
        made.close()


CASES = (
    Case("infrastructure.credentials-postgresql", Credentials(), clerk, owed_while_dead=True),
    Case("infrastructure.credentials-redis", Credentials(), auditor),
)
