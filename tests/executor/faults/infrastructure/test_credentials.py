"""Credentials come back to the byte, sessions go or stay as asked, and nobody's later change is overwritten."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from executor.drivers.targets import ProcessTarget
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.model.faults.data import ConnectionFailure
from executor.model.faults.infrastructure import Credentials
from executor.model.system import Service
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.credentials import Auditor, Clerk, auditor, clerk
from tests.executor.faults.servers import Redis

HOW = behaviour("infrastructure.credentials")
MARK = "murphy-credentials-1"


@pytest.fixture
def role(bench: Bench) -> Iterator[Clerk]:
    with clerk(bench) as made:
        yield made


@pytest.fixture
def user(bench: Bench) -> Iterator[Auditor]:
    with auditor(bench) as made:
        yield made


def injected(subject: Clerk | Auditor, fault: Credentials, path: Path) -> dict[str, Any]:
    record = HOW.prepare(fault, subject.resolved(), Context(subject.system, MARK, str(path)))
    return record | HOW.inject(record, 60)


def cut(subject: Clerk | Auditor) -> bool:
    """Whether the session that was there is gone."""
    try:
        subject.standing.ping() if isinstance(subject, Auditor) else subject.standing.execute("SELECT 1")
    except (psycopg.OperationalError, redis.ConnectionError):
        return True
    return False


@pytest.mark.parametrize("sessions", ["keep", "end"])
@pytest.mark.parametrize("how", ["rotate", "revoke", "expire"])
def test_a_role_of_postgresql_is_struck_and_as_before(role: Clerk, tmp_path: Path, how: Any, sessions: Any) -> None:
    before = role.state()
    record = injected(role, Credentials(how=how, sessions=sessions), tmp_path)
    assert role.faulted()
    assert HOW.active(record) is True
    assert record["ended"] == (sessions == "end")
    assert cut(role) is (sessions == "end")
    HOW.revert(record)
    assert HOW.active(record) is False
    assert role.normal()
    assert role.state() == before


@pytest.mark.parametrize("how", ["rotate", "revoke"])
def test_a_user_of_redis_is_struck_and_as_before(user: Auditor, tmp_path: Path, how: Any) -> None:
    before = user.state()
    record = injected(user, Credentials(how=how, sessions="end"), tmp_path)
    assert user.faulted()
    assert HOW.active(record) is True
    assert record["ended"] == 1
    assert cut(user)
    HOW.revert(record)
    assert HOW.active(record) is False
    assert user.normal()
    assert user.state() == before


def test_an_end_that_a_password_had_before_comes_back(role: Clerk, tmp_path: Path) -> None:
    role.server.ask("SELECT 1")
    change(role, "ALTER ROLE clerk VALID UNTIL '2100-01-01 12:34:56.789+00'")
    before = role.state()
    try:
        HOW.revert(injected(role, Credentials(how="expire"), tmp_path))
        assert role.state() == before
    finally:
        change(role, "UPDATE pg_authid SET rolvaliduntil = NULL WHERE rolname = 'clerk'")


def test_neither_password_nor_verifier_leaves_the_server(role: Clerk, tmp_path: Path) -> None:
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk'"
    ((was,),) = role.server.ask(verifier)
    record = injected(role, Credentials(), tmp_path)
    ((put,),) = role.server.ask(verifier)
    HOW.revert(record)
    assert was != put
    assert was not in json.dumps(record)
    assert put not in json.dumps(record)
    assert list(tmp_path.iterdir()) == []


def test_what_an_administrator_sets_meanwhile_stays_and_is_told(
    role: Clerk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ((was,),) = role.server.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk'")
    record = injected(role, Credentials(), tmp_path)
    change(role, "ALTER ROLE clerk PASSWORD 'set-by-hand'")
    try:
        assert HOW.active(record) is False
        with caplog.at_level(logging.WARNING):
            HOW.revert(record)
        assert "somebody has set the role's credentials meanwhile" in caplog.text
        psycopg.connect(role.url.replace(role.server.password, "set-by-hand")).close()
        assert role.server.ask("SELECT 1 FROM pg_roles WHERE rolname = %s", MARK) == []
    finally:
        change(role, f"ALTER ROLE clerk PASSWORD '{was}'")


def test_a_password_is_not_changed_twice(role: Clerk, tmp_path: Path) -> None:
    """Undone in the order in which they were made, the first one's would stay."""
    before, record = role.state(), injected(role, Credentials(), tmp_path)
    assert f"clerk has a password of {MARK} already" in why_not(role.resolved(), role="clerk")
    HOW.revert(record)
    assert why_not(role.resolved(), role="clerk") == ""
    assert role.state() == before


def test_a_user_of_redis_is_not_changed_twice(user: Auditor, tmp_path: Path) -> None:
    before, record = user.state(), injected(user, Credentials(role="auditor"), tmp_path)
    assert f"auditor has been changed by {MARK} already" in why_not(user.resolved(), role="auditor")
    HOW.revert(record)
    assert user.state() == before


@pytest.mark.parametrize("kind", ["infrastructure.credentials", "data.connection_failure"])
def test_users_that_redis_has_saved_meanwhile_are_as_before_too(kind: str, tmp_path: Path) -> None:
    """Somebody had it write its settings down while they had the fault, and it was started again with them."""
    file = tmp_path / "redis.conf"
    file.touch()
    server = Redis(tmp_path, str(file))
    try:
        user, how = Auditor(server), behaviour(kind)
        with server.client() as client:
            users = client.acl_users()
        fault = Credentials(role="auditor") if how is HOW else ConnectionFailure(how="refuse_new")
        record = how.prepare(fault, user.resolved(), Context(user.system, MARK, str(tmp_path)))
        record |= how.inject(record, 60)
        user.standing.close()
        with server.client() as client:
            client.config_rewrite()
        server.end()
        server.start()
        assert how.active(record) is True
        how.revert(record)
        assert how.active(record) is False
        assert user.normal()
        with server.client() as client:
            assert client.acl_users() == users
    finally:
        server.end()


def test_no_function_of_others_runs_with_an_administrators_rights(role: Clerk, tmp_path: Path) -> None:
    """Whoever may make functions where the administrator looks for them would be one."""
    with psycopg.connect(role.server.url("postgres", "postgres"), autocommit=True) as session:
        session.execute("CREATE TABLE public.seen (who text)")
        session.execute(
            "CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE plpgsql AS"
            " $$BEGIN INSERT INTO public.seen VALUES (current_user); RETURN pg_catalog.format($1, $2, $3); END$$"
        )
        session.execute("ALTER DATABASE postgres SET search_path TO public, pg_catalog")
        try:
            before, record = role.state(), injected(role, Credentials(), tmp_path)
            HOW.revert(record)
            assert role.state() == before
            assert session.execute("SELECT * FROM public.seen").fetchall() == []
        finally:
            session.execute("DROP FUNCTION public.format(text, text, text)")
            session.execute("DROP TABLE public.seen; ALTER DATABASE postgres RESET search_path")


def why_not(target: ProcessTarget, service: dict[str, Any] | None = None, **fields: Any) -> str:
    altered = Service.model_validate({**dict(target.service), **(service or {})})
    return HOW.unsupported(Credentials(**fields), replace(target, service=altered)) or ""


def test_what_is_not_struck_in_postgresql_is_said(role: Clerk) -> None:
    target = role.resolved()
    assert "has no admin_dsn" in why_not(target, {"admin_dsn": None})
    assert "is no superuser" in why_not(target, {"admin_dsn": "env:TEST_POSTGRES"}, role="shop")
    assert "postgres is an administrator's" in why_not(target, role="postgres")
    assert "has no role nobody" in why_not(target, role="nobody")
    assert "ledger has no password" in why_not(target, role="ledger")
    assert why_not(target, role="ledger", how="revoke") == ""
    assert "is not known here" in why_not(target, {"technology": "mysql"})


def test_what_is_not_struck_in_redis_is_said(user: Auditor) -> None:
    target = user.resolved()
    assert "has no admin_dsn" in why_not(target, {"admin_dsn": None})
    assert "do not expire" in why_not(target, how="expire")
    assert "logs in as default itself" in why_not(target, role="default")
    assert "has no user nobody" in why_not(target, role="nobody")


def change(role: Clerk, statement: str) -> None:
    with psycopg.connect(role.server.url("postgres", "postgres"), autocommit=True) as session:
        session.execute(statement)  # type: ignore[call-overload]
