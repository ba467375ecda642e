"""Each statement is late, and nothing else that a client of PostgreSQL says."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from executor.model.faults.data import SlowQuery
from executor.model.system import KernelRedirect, System
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.slow_query import DELAY_S, Shop, opened, system_of, taken_s
from tests.executor.faults.edge_kit import Held, need_redirect, one_edge
from tests.executor.faults.servers import Postgres

FAULT = SlowQuery(delay_ms=DELAY_S * 1000)


def on(system: System, path: Path) -> Held:
    return Held(FAULT, one_edge(system), system, path)


def test_every_execution_of_a_pipeline_is_late(bench: Bench, tmp_path: Path) -> None:
    with opened(bench) as shop:
        held = on(shop.system, tmp_path)
        held.inject()
        begun = time.monotonic()
        with shop.pooled.pipeline():
            for number in range(3):
                shop.pooled.execute("SELECT %s::int", (number,))
        assert time.monotonic() - begun >= 3 * DELAY_S
        held.revert()
        assert held.left_behind() == []


def test_a_statement_that_waits_goes_on_when_the_fault_ends(bench: Bench, tmp_path: Path) -> None:
    with opened(bench) as shop:
        held = Held(SlowQuery(delay_ms=600_000), one_edge(shop.system), shop.system, tmp_path)
        held.inject()
        with psycopg.connect(shop.pooled.info.dsn, autocommit=True) as waiting:
            waiting.pgconn.send_query(b"SELECT 1")
            waiting.pgconn.flush()
            held.revert()
            result = waiting.pgconn.get_result()
            assert result is not None
            assert result.get_value(0, 0) == b"1"
            assert waiting.pgconn.get_result() is None


@pytest.mark.root
def test_through_the_kernel_without_a_proxy_of_its_own(shared_postgres: Postgres, tmp_path: Path) -> None:
    need_redirect()
    held = on(system_of(shared_postgres, KernelRedirect()), tmp_path)
    held.inject()
    try:
        with psycopg.connect(shared_postgres.url(), autocommit=True) as session:
            assert taken_s(session) >= DELAY_S
            assert taken_s(session, 3) >= DELAY_S
    finally:
        held.revert()
    with psycopg.connect(shared_postgres.url(), autocommit=True) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert held.left_behind() == []


def test_an_edge_that_speaks_something_else_is_refused(bench: Bench) -> None:
    with opened(bench) as shop:
        assert "is not known to speak postgresql" in (why_not(shop, "redis") or "")
        assert why_not(shop, "postgresql") is None


def why_not(shop: Shop, protocol: str) -> str | None:
    from executor.faults.registry import behaviour

    (edge,) = shop.system.dependencies
    altered = type(edge).model_validate({**dict(edge), "protocol": protocol})
    system = System(name="shop", services=shop.system.services, dependencies=(altered,))
    return behaviour("data.slow_query").unsupported(FAULT, one_edge(system))
