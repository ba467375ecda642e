"""Edges to real databases: faults strike bytes, whatever the protocol, on pooled connections too."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from executor.clock import own_ticks
from executor.model.faults import FaultSpec
from executor.model.faults.network import Latency, Reset
from executor.model.faults.service import DependencyFailure, Timeout
from executor.model.system import Dependency, KernelRedirect, ManagedProxy, ProcessInstance, Service, System
from tests.executor.faults.edge_kit import WAYS, Caller, Held, need_redirect, one_edge
from tests.executor.faults.servers import Postgres, Redis
from tests.executor.proxy.conftest import Managed

US = ProcessInstance(id="tests-1", pid=os.getpid(), start_ticks=own_ticks())


@contextmanager
def _way(way: str, path: Path, port: int) -> Iterator[tuple[int, Any]]:
    """Where to call, and how the edge is intercepted."""
    if way == "redirect":
        need_redirect()
        yield port, KernelRedirect()
        return
    managed = Managed(path, port)
    try:
        yield managed.tcp, ManagedProxy(control=managed.control, edge="a->c")
    finally:
        managed.stop()


def _held(
    fault: FaultSpec, protocol: Any, port: int, interception: Any, path: Path, caller: ProcessInstance = US
) -> Held:
    edge = Dependency(caller="a", callee="b", protocol=protocol, port=port, interception=interception)
    services = (
        Service(name="a", instances=(caller,)),
        Service(name="b", instances=(ProcessInstance(id="b-1", port=port),)),
    )
    system = System(name="s", services=services, dependencies=(edge,))
    return Held(fault, one_edge(system), system, path, mark=f"db-{fault.kind.replace('.', '-')}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", WAYS)
def test_a_session_of_postgresql_is_late_and_well_again(way: str, tmp_path: Path, shared_postgres: Postgres) -> None:
    with _way(way, tmp_path, shared_postgres.port) as (port, interception):
        url = f"postgresql://shop@127.0.0.1:{port}/shop"
        held = _held(Latency(delay_ms=150), "postgresql", shared_postgres.port, interception, tmp_path)
        with psycopg.connect(url, autocommit=True) as before:
            held.inject()
            try:
                session = before if way == "managed" else psycopg.connect(url, autocommit=True)
                begun = time.monotonic()
                assert session.execute("SELECT count(*) FROM goods").fetchone() == (20,)
                assert time.monotonic() - begun >= 0.15
            finally:
                held.revert()
            if session is not before:
                session.close()
        with psycopg.connect(url) as after:
            assert after.execute("SELECT 1").fetchone() == (1,)
        assert held.left_behind() == []


@pytest.mark.root
@pytest.mark.parametrize("protocol", ["tcp", "postgresql"])
def test_a_transaction_that_a_bystander_began_meanwhile_is_not_lost(
    tmp_path: Path, shared_postgres: Postgres, protocol: str
) -> None:
    """This process is the bystander; a session of its in which nothing is under way shows when the others end."""
    need_redirect()
    url = f"postgresql://shop@127.0.0.1:{shared_postgres.port}/shop"
    caller = Caller("caller")
    try:
        held = _held(Latency(delay_ms=50), protocol, shared_postgres.port, KernelRedirect(), tmp_path, caller.instance)
        held.inject()
        end = threading.Thread(target=held.revert)
        try:
            with psycopg.connect(url, autocommit=True) as idle, psycopg.connect(url) as session:
                session.execute("CREATE TABLE meanwhile (n int)")
                end.start()
                assert select.select([idle.fileno()], [], [], 20)[0]
                session.execute("INSERT INTO meanwhile VALUES (1)")
                session.commit()
                assert select.select([session.fileno()], [], [], 20)[0], "the helper lets it go then"
        finally:
            if end.ident:
                end.join()
            held.revert()
        with psycopg.connect(url) as after:
            assert after.execute("SELECT n FROM meanwhile").fetchall() == [(1,)]
            after.execute("DROP TABLE meanwhile")
        assert held.left_behind() == []
    finally:
        caller.end()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [Reset(), DependencyFailure(mode="refuse"), Timeout()], ids=lambda fault: fault.kind)
def test_a_client_of_redis_is_cut_or_left_waiting(
    way: str, tmp_path: Path, shared_redis: Redis, fault: FaultSpec
) -> None:
    with _way(way, tmp_path, shared_redis.port) as (port, interception):
        url = shared_redis.url.replace(str(shared_redis.port), str(port))
        held = _held(fault, "redis", shared_redis.port, interception, tmp_path)
        with redis.Redis.from_url(url, socket_timeout=0.5, retry=None) as client:
            client.set("key", "value")
            held.inject()
            try:
                with pytest.raises(redis.exceptions.TimeoutError if isinstance(fault, Timeout) else redis.RedisError):
                    client.get("key")
            finally:
                held.revert()
        with shared_redis.client() as client:
            assert client.get("key") == b"value"
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            assert client.get("key") == b"value"
        assert held.left_behind() == []
