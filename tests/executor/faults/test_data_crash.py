"""Faults on data, with executor and watchdog killed in the middle of them: databases are as they were before."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import process
from executor.model.faults import Fault
from executor.model.faults.data import CacheFlush, ConnectionFailure, Corruption, Lock
from executor.model.plan import Action, InstanceTarget, Plan
from executor.model.probe import Check, TcpProbe
from executor.model.system import System
from executor.selftest.parts import put
from executor.selftest.snapshot import WATCHDOG, workers
from executor.state import audit
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from tests.crash.conftest import Runner
from tests.executor.faults.cases.data import DataSubject, PostgresSubject, RedisSubject
from tests.executor.faults.servers import Postgres, Redis
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, until

PATIENT = LIMITS.model_copy(update={"lease_s": 20})
"""Who dies is noticed at once; a busy machine must not let the lease lapse before."""
Subjects = tuple[PostgresSubject, RedisSubject]
FAULTS: dict[str, tuple[Fault, Fault]] = {
    "what is in them": (Lock(table="goods"), CacheFlush(pattern="product:*")),
    "what is true in them": (Corruption(table="goods", how="duplicate"), CacheFlush(pattern="product:*")),
    "who may reach them": (ConnectionFailure(), ConnectionFailure()),
}


@pytest.fixture
def subjects(shared_postgres: Postgres, shared_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subjects]:
    for variable in ("TEST_POSTGRES", "TEST_REDIS"):
        monkeypatch.setenv(variable, "")
    made = PostgresSubject(shared_postgres, PostgresSubject.locked), RedisSubject(shared_redis, RedisSubject.empty)
    yield made
    for subject in made:
        subject.pooled.close()


def system_of(subjects: Subjects) -> System:
    services = []
    for subject in subjects:
        (service,) = subject.system.services
        probe = TcpProbe(port=subject.server.port)
        check = Check(id=service.name, service=service.name, probe=probe, rate_hz=20)
        services.append(type(service)(**{**dict(service), "operations": (check,)}))
    return System(name="shop", services=tuple(services))


def plan_for(system: System, faults: tuple[Fault, Fault]) -> Plan:
    actions = tuple(
        Action(id=f"a-{service.name}", fault=fault, target=InstanceTarget(service=service.name), duration_s=30)
        for service, fault in zip(system.services, faults, strict=True)
    )
    return plan_of(system, (experiment_on(system, "postgres", actions=actions),))


def begin(directory: Path, home: Home, plan: Plan, system: System) -> Runner:
    put(directory, plan=plan, approval=approve(home, plan, PATIENT), system=system, limits=PATIENT)
    runner = Runner(directory)
    until(lambda: runner.said.count("injected") == 2, what=f"not all was injected: {runner.said}")
    return runner


def kill_everything(runner: Runner, home: Home) -> None:
    """All at one stroke, as when the power is cut."""
    runner.process.send_signal(signal.SIGSTOP)  # or it would replace its watchdog
    for _, pid in workers(home.path):
        ticks = start_ticks(pid)
        assert ticks is not None
        process.send(pid, ticks, signal.SIGKILL)
        process.wait_gone(pid, ticks, 10)
    runner.process.kill()
    runner.ended()


def pending(home: Home) -> int:
    journal = Journal(home.journal)
    try:
        return len(journal.pending()) + len(journal.running())
    finally:
        journal.close()


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("power_cut", [False, True], ids=["executor killed", "power cut"])
def test_databases_are_as_before_whoever_dies(
    subjects: Subjects, tmp_path: Path, faults: tuple[Fault, Fault], power_cut: bool
) -> None:
    before = [_state(subject) for subject in subjects]
    home, system = Home.open(tmp_path / "home"), system_of(subjects)
    runner = begin(tmp_path, home, plan_for(system, faults), system)
    try:
        assert not subjects[0].normal()
        assert not subjects[1].normal()
        if power_cut:
            kill_everything(runner, home)
            assert all(done.reverted for done in recover(home))
        else:
            runner.process.kill()
            until(lambda: not any(module == WATCHDOG for module, _ in workers(home.path)), within_s=60)
    finally:
        runner.close()
    for subject, was in zip(subjects, before, strict=True):
        until(subject.normal)
        until(lambda subject=subject, was=was: _state(subject) == was)
    assert pending(home) == 0
    assert workers(home.path) == []
    assert audit.verify(home).intact


def _state(subject: DataSubject) -> object:
    assert isinstance(subject, PostgresSubject | RedisSubject)
    return subject.state()
