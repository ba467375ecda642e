"""No run begins whose faults could not be undone, or not be written down."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.drivers.resolve import resolve
from executor.errors import SafetyRefusalError, UnavailableError
from executor.kernel import process
from executor.model.data_check import DataCheck, SqlQuery
from executor.model.faults.service import Crash, Hang
from executor.model.plan import Plan
from executor.model.system import System
from executor.run.engine import run
from executor.safety.limits import Limits
from executor.safety.readiness import refuse_unready
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, system_of, until

FULL = Limits(**{**dict(LIMITS), "state_free_mib_min": 1_000_000})


@pytest.fixture
def base() -> Iterator[Shelf]:
    with shelves("base") as (shelf,):
        yield shelf


def ask(home: Home, plan: Plan, system: System, limits: Limits = LIMITS) -> None:
    targets = {a.id: resolve(a.target, system) for e in plan.experiments for a in e.actions}
    refuse_unready(plan, targets, system=system, limits=limits, home=home)


def refused(home: Home, plan: Plan, system: System, limits: Limits = LIMITS) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        ask(home, plan, system, limits)
    assert caught.value.rule == "recovery readiness"
    return str(caught.value)


def test_what_can_be_undone_passes_and_leaves_nothing(home: Home, base: Shelf) -> None:
    system = system_of([base])
    before = sorted(home.path.rglob("*"))
    for fault in (Hang(), Crash(restart="murphy")):  # which keeps the environment for the restart, with its secrets
        ask(home, plan_of(system, (experiment_on(system, "base", fault),)), system)
    assert sorted(home.path.rglob("*")) == before
    assert not base.stopped()
    assert base.answers()


def test_no_fault_is_made_where_nobody_could_read_back_what_it_cost(
    home: Home, base: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = SqlQuery(dsn="env:MURPHY_TEST_UNREADY", query="SELECT true")
    kept = DataCheck(id="kept", service="base", invariants=(query,))
    system = system_of([base])
    plan = plan_of(system, (experiment_on(system, "base", data_checks=(kept,)),))
    monkeypatch.delenv("MURPHY_TEST_UNREADY", raising=False)
    with pytest.raises(UnavailableError, match="MURPHY_TEST_UNREADY is not set"):
        ask(home, plan, system)
    monkeypatch.setenv("MURPHY_TEST_UNREADY", "postgresql://127.0.0.1/")
    ask(home, plan, system)


def test_what_a_killed_executor_has_read_of_a_target_does_not_stay(home: Home) -> None:
    code = "import sys, time; from pathlib import Path; from executor.state.home import Home\n"
    code += "with Home(Path(sys.argv[1])).rehearsal() as place: print(place, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(home.path)], stdout=subprocess.PIPE, text=True) as executor:
        assert executor.stdout is not None
        kept = Path(executor.stdout.readline().strip()) / "murphy-readiness.environ"
        kept.write_text("TOKEN=canary")
        recover(home)
        assert kept.exists(), "its executor is at work"
        executor.kill()
    recover(home)
    assert not kept.parent.exists()


def test_room_for_what_is_to_be_undone_is_needed(home: Home, base: Shelf) -> None:
    system = system_of([base])
    plan = plan_of(system, (experiment_on(system, "base"),))
    message = refused(home, plan, system, FULL)
    assert message.startswith("refused by recovery readiness: the state directory has room for ")
    assert message.endswith(
        " MiB, and the limit is 1000000 MiB (state_free_mib_min in limits.toml). "
        f"Make room where {home.path} is, or set MURPHY_HOME to another place."
    )
    approval = approve(home, plan, FULL)
    with pytest.raises(SafetyRefusalError, match="recovery readiness"):
        run(plan, approval, system=system, limits=FULL, home=home)
    journal = Journal(home.journal)
    assert (journal.running(), journal.pending(), journal.used(approval.grant.nonce)) == ([], [], ())
    journal.close()


def test_a_fault_that_cannot_be_prepared_is_refused(home: Home, base: Shelf) -> None:
    system = system_of([base])
    plan = plan_of(system, (experiment_on(system, "base"),))
    found = base.found()
    assert found is not None
    process.send(found.pid, found.start_ticks, signal.SIGSTOP)
    until(base.stopped)
    try:
        message = refused(home, plan, system)
    finally:
        process.send(found.pid, found.start_ticks, signal.SIGCONT)
    assert message.startswith("refused by recovery readiness: action a1, service.hang, cannot be prepared: base-1: ")
    ask(home, plan, system)


def test_a_command_that_is_to_start_it_again_must_be_there(home: Home, base: Shelf) -> None:
    (service,) = system_of([base]).services
    for program, passes in (("/no/such/program", False), ("sh", True)):
        here = type(service)(**{**dict(service), "restart_command": (program, "x")})
        system = System(name="library", services=(here,))
        ask(home, plan_of(system, (experiment_on(system, "base", Hang()),)), system)  # needs no restart
        plan = plan_of(system, (experiment_on(system, "base", Crash()),))
        if passes:
            ask(home, plan, system)
        else:
            assert "would need /no/such/program, which is no program here" in refused(home, plan, system)
