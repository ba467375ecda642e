"""What may change between the preflight and the admission of a run, while the system's health is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from executor.errors import SafetyRefusalError, StoppedError
from executor.model.plan import Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.run import admission
from executor.run.engine import run
from executor.safety.halt import halt, resume
from executor.safety.limits import Limits
from executor.safety.signing import revoke_key
from executor.safety.windows import ChangeWindow
from executor.state.audit import entries
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, system_of


class LaterClock:
    """A clock by which the health of the system is looked at for a long time."""

    def __init__(self, later: timedelta) -> None:
        self._late, self._later = timedelta(), later

    def now(self) -> datetime:
        return datetime.now(UTC) + self._late

    def monotonic(self) -> float:
        raise AssertionError("no run has begun that would need it")

    def goes_on(self) -> None:
        self._late = self._later


def refused(
    home: Home,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[], object],
    *,
    limits: Limits = LIMITS,
    clock: LaterClock | None = None,
) -> SafetyRefusalError:
    """The refusal of a run where ``meanwhile`` happens while its system's health is looked at."""

    async def well(plan: Plan, system: System) -> None:
        meanwhile()

    monkeypatch.setattr(admission, "healthy", well)
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval = approve(home, plan, limits)
    with pytest.raises(SafetyRefusalError) as no:
        run(plan, approval, system=system, limits=limits, home=home, clock=clock or LaterClock(timedelta()))
    with closing(Journal(home.journal)) as journal:
        assert journal.used(approval.grant.nonce) == ()
    return no.value


def test_an_approval_that_lapses_meanwhile(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LaterClock(timedelta(seconds=601))
    no = refused(home, shelf, monkeypatch, clock.goes_on, clock=clock)
    assert no.rule == "approval validity"


def test_a_key_that_is_revoked_meanwhile(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    no = refused(home, shelf, monkeypatch, lambda: revoke_key(home, "operator", "it was stolen"))
    assert no.rule == "revoked keys"


def test_a_change_window_that_ends_meanwhile(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    now, clock = datetime.now(UTC), LaterClock(timedelta(minutes=9))
    begins, ends = now - timedelta(hours=1), now + timedelta(minutes=5)
    window = ChangeWindow(begins=f"{begins:%H:%M}", ends=f"{ends:%H:%M}", environments=(Environment.DEVELOPMENT,))
    limits = Limits(**{**dict(LIMITS), "change_windows": (window,)})
    no = refused(home, shelf, monkeypatch, clock.goes_on, clock=clock, limits=limits)
    assert no.rule == "change window"


def test_a_halt_that_is_over_before_anybody_looks(home: Home, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def drill() -> None:
        halt(home, "a drill", by="alice")
        resume(home)

    no = refused(home, shelf, monkeypatch, drill)
    assert no.rule == "halt"
    assert "alice halted everything (a drill" in no.measured
    assert no.hint == "It is resumed by now: run it again."


def test_a_run_that_is_stopped_before_it_began_keeps_its_approval(home: Home, shelf: Shelf) -> None:
    """As by Ctrl-C while the system's health is looked at, which takes seconds, or minutes."""
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    approval, stop = approve(home, plan), threading.Event()
    stop.set()
    with pytest.raises(StoppedError, match="stopped before it began: nothing was touched") as stopped:
        run(plan, approval, system=system, limits=LIMITS, home=home, stop=stop)
    assert stopped.value.exit_code == 130
    assert entries(home)[-1].detail["rule"] == "stop"
    assert not shelf.stopped()
    assert run(plan, approval, system=system, limits=LIMITS, home=home).outcome == "completed"
