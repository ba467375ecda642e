"""Statements on an edge to a real PostgreSQL, through a managed proxy; who calls it directly is the bystander."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from executor.clock import own_ticks
from executor.drivers.resolve import resolve
from executor.drivers.targets import Resolved
from executor.model.faults.data import SlowQuery
from executor.model.plan import EdgeTarget
from executor.model.system import Dependency, Interception, ManagedProxy, ProcessInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.servers import Postgres
from tests.executor.proxy.conftest import Managed

DELAY_S = 0.2
_US = ProcessInstance(id="shop-1", pid=os.getpid(), start_ticks=own_ticks())


def system_of(server: Postgres, interception: Interception) -> System:
    """This process calls the server."""
    edge = Dependency(caller="a", callee="b", protocol="postgresql", port=server.port, interception=interception)
    services = (
        Service(name="a", instances=(_US,)),
        Service(name="b", instances=(ProcessInstance(id="db-1", port=server.port),)),
    )
    return System(name="shop", services=services, dependencies=(edge,))


def taken_s(session: psycopg.Connection, *values: int) -> float:
    """How long a statement takes, seconds; by Parse, Bind and Execute where it has a value."""
    begun = time.monotonic()
    session.execute("SELECT count(*) FROM goods" + (" WHERE id < %s" if values else ""), values or None)
    return time.monotonic() - begun


class Shop:
    """The shop's pooled session through the proxy, and one beside it."""

    def __init__(self, server: Postgres, path: Path) -> None:
        self.server = server
        self.proxy = Managed(path, server.port)
        self.system = system_of(server, ManagedProxy(control=self.proxy.control, edge="a->c"))
        self.pooled = psycopg.connect(self._url(), autocommit=True)
        self.direct = psycopg.connect(server.url(), autocommit=True)

    def _url(self) -> str:
        return self.server.url().replace(f":{self.server.port}", f":{self.proxy.tcp}")

    def resolved(self) -> Resolved:
        (target,) = resolve(EdgeTarget(caller="a", callee="b"), self.system)
        return target

    def normal(self) -> bool:
        return taken_s(self.pooled) < DELAY_S

    def faulted(self) -> bool:
        return taken_s(self.pooled) >= DELAY_S

    def unharmed(self) -> bool:
        """Whether statements beside the edge are as quick as ever, and so is logging in over it."""
        beside = statistics.median(taken_s(self.direct) for _ in range(10))
        return max(beside, min(self._log_in_s() for _ in range(3))) < DELAY_S

    def _log_in_s(self) -> float:
        begun = time.monotonic()
        psycopg.connect(self._url()).close()
        return time.monotonic() - begun

    def size(self) -> str:
        late = statistics.median(taken_s(self.pooled, 3) for _ in range(5))
        assert late >= DELAY_S
        return f"{DELAY_S * 1000:.0f} ms asked, {late * 1000:.0f} ms in the median of 5 statements"

    def state(self) -> dict[str, Any]:
        return {"edges": self.proxy.ask({"do": "edges"}), "proxy": self.proxy.process.pid}

    def die(self) -> None:
        """What the fault lives in."""
        self.proxy.process.kill()
        self.proxy.process.wait()

    def close(self) -> None:
        self.pooled.close()
        self.direct.close()
        self.proxy.stop()


@contextmanager
def opened(bench: Bench) -> Iterator[Shop]:
    made = Shop(bench.fixture("shared_postgres"), bench.path)
    try:
        yield made
    finally:
        made.close()


CASES = (Case("data.slow_query", SlowQuery(delay_ms=DELAY_S * 1000), opened),)
