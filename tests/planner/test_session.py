"""Sessions by hand: adopted plans are checked, found again, and run by one process at a time."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from executor.errors import InputError, MurphyError, SafetyRefusalError, UnavailableError
from executor.model.digest import digest
from executor.model.faults.network import Latency
from executor.model.plan import Plan
from executor.model.vocabulary import Weakness
from executor.run.record import write_atomically
from executor.safety.limits import Limits
from executor.state.home import Home
from planner.assemble import assemble
from planner.graph import open_graph
from planner.optimise import select
from planner.session import Session
from planner.shelf import Shelf
from planner.tools import Tools
from tests.executor.kit import approve
from tests.planner.systems import bazaar, brief_for, compiled, proposal

LIMITS = Limits()


def plan() -> Plan:
    found = compiled(proposal(Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=3000)))
    chosen = select(found.experiments, brief_for(bazaar()))
    return assemble(chosen, brief_for(bazaar()), plan_id="by-hand", proposer="tester", candidates=1)


def test_an_adopted_plan_waits_for_exactly_what_is_to_be_signed(home: Home) -> None:
    session = Session.adopt(home, plan(), bazaar(), limits=LIMITS)
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        state = graph.get_state({"configurable": {"thread_id": session.name}})
    (waiting,) = (held for task in state.tasks for held in task.interrupts)
    assert waiting.value["plan_digest"] == digest(plan())
    assert waiting.value["limits_digest"] == digest(LIMITS)
    assert waiting.value["environment"] == "development"
    assert set(waiting.value) == {"plan_digest", "limits_digest", "environment", "summary"}


def test_a_session_is_found_by_its_very_plan_only(home: Home) -> None:
    assert Session.find(home, plan()) is None
    kept = Session.adopt(home, plan(), bazaar(), limits=LIMITS)
    found = Session.find(home, plan())
    assert found is not None
    assert (found.name, found.plan, found.system, found.limits) == (kept.name, plan(), bazaar(), LIMITS)
    edited = Plan.model_validate({**plan().model_dump(), "goal": "something else"})
    assert Session.find(home, edited) is None


def test_a_plan_by_hand_has_one_session_however_many_ask_at_once(home: Home) -> None:
    together = threading.Barrier(6)

    def adopt(_number: int) -> str:
        together.wait()
        try:
            return Session.adopt(home, plan(), bazaar(), limits=LIMITS).name
        except SafetyRefusalError as busy:
            return busy.rule

    with ThreadPoolExecutor(6) as pool:
        said = set(pool.map(adopt, range(6)))
    kept = Session.find(home, plan())
    assert kept is not None
    assert said - {"one at a time"} == {kept.name}
    stricter = Limits(protected_services=("web",))
    with pytest.raises(SafetyRefusalError, match="protected"):
        Session.adopt(home, plan(), bazaar(), limits=stricter)
    wider = Limits(approval_uses_max=7)
    assert Session.adopt(home, plan(), bazaar(), limits=wider).limits == wider


def test_a_plan_that_a_rule_refuses_is_not_adopted(home: Home) -> None:
    with pytest.raises(SafetyRefusalError, match="protected"):
        Session.adopt(home, plan(), bazaar(), limits=Limits(protected_services=("web",)))
    assert Session.find(home, plan()) is None


def test_one_process_works_on_a_session_at_a_time(home: Home) -> None:
    session = Session.adopt(home, plan(), bazaar(), limits=LIMITS)
    approval = approve(home, plan(), LIMITS)
    with (
        closing(Shelf(home.sessions)) as shelf,
        shelf.claimed(session.name),
        pytest.raises(SafetyRefusalError, match="one process a session"),
    ):
        session.carry_out(approval, limits=LIMITS)
    with pytest.raises(MurphyError) as refused:  # nobody is at it any more: it gets as far as the system's absence
        session.carry_out(approval, limits=LIMITS)
    assert "one process a session" not in str(refused.value)
    assert not any(home.runs.iterdir())


def test_a_refused_approval_leaves_the_session_open_for_a_better_one(home: Home) -> None:
    session = Session.adopt(home, plan(), bazaar(), limits=LIMITS)
    other = Plan.model_validate({**plan().model_dump(), "goal": "something else"})
    for _ in range(2):
        with pytest.raises(SafetyRefusalError, match="approved plan"):
            session.carry_out(approve(home, other, LIMITS), limits=LIMITS)


def test_a_run_that_was_refused_is_asked_for_again_under_the_limits_of_now(home: Home) -> None:
    session = Session.adopt(home, plan(), bazaar(), limits=LIMITS)
    approval = approve(home, plan(), LIMITS)
    with pytest.raises(MurphyError) as absent:  # it gets past every rule, as far as the system's absence
        session.carry_out(approval, limits=LIMITS)
    with pytest.raises(SafetyRefusalError, match="approved limits"):
        session.carry_out(approval, limits=Limits(protected_services=("web",)))
    with pytest.raises(type(absent.value)) as again:
        session.carry_out(approval, limits=LIMITS)
    assert str(again.value) == str(absent.value)


def test_an_experiment_of_an_earlier_run_is_planned_again(home: Home) -> None:
    directory = home.run_dir("run-1")
    write_atomically(directory / "plan.json", plan())
    (experiment,) = plan().experiments
    again = Session.repeat(home, bazaar(), again=f"run-1/{experiment.id}", limits=LIMITS, proposer="tester")
    assert again.plan.experiments == (experiment,)
    assert Session.find(home, again.plan) is not None
    for wrong in ("run-2/x", "run-1/x", "../run-1/x", ""):
        with pytest.raises(InputError):
            Session.repeat(home, bazaar(), again=wrong, limits=LIMITS, proposer="tester")


def test_nothing_to_plan_is_said_with_a_way_out(home: Home) -> None:
    with pytest.raises(InputError, match="no experiment to plan"):
        Session.begin(home, bazaar(), limits=LIMITS, experts=[_Silent()], proposer="tester")
    assert (home.sessions.stat().st_mode & 0o777) == 0o600


class _Silent:
    """Has nothing to say."""

    name = "silent"
    model = "none"
    notes: list[str] = []  # noqa: RUF012 - never written to

    def propose(self, *_: object) -> list[object]:
        return []

    critique = predict = propose


def test_checkpoints_that_cannot_be_written_are_said_plainly(home: Home) -> None:
    with (
        closing(Shelf(home.sessions)) as shelf,
        pytest.raises(UnavailableError, match="planning sessions cannot be kept: database or disk is full"),
        open_graph(Tools(home, shelf)),
    ):
        raise sqlite3.OperationalError("database or disk is full")
