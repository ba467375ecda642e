"""Time travel: every step of a session is kept; a branch goes on from any of them, repeating nothing that is good."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor.errors import InputError, MurphyError, SafetyRefusalError
from executor.model.digest import digest
from executor.model.system import System
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.brief import Constraints
from planner import state
from planner.graph import ORDER, open_graph
from planner.history import at, forget, forget_older, sessions, steps
from planner.session import Session
from planner.shelf import Shelf
from planner.tools import Tools
from tests.executor.kit import approve
from tests.planner.planning import NAMES, Counting
from tests.planner.standing import standing_bazaar

LIMITS = Limits()
PLANNED = ("start", *ORDER[: ORDER.index("approve")])


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with standing_bazaar(tmp_path_factory.mktemp("bazaar")) as found:
        yield found


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def council(calls: Path) -> list[Counting]:
    return [Counting(name, calls) for name in NAMES]


def asked(calls: Path) -> int:
    return len(calls.read_text().splitlines())


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, system: System) -> Path:
    """A home with one session, planned once; each test gets a copy."""
    directory = tmp_path_factory.mktemp("planned")
    plan(Home.open(directory / "home"), system, directory / "calls")
    return directory


@pytest.fixture
def home(tmp_path: Path, planned: Path) -> Home:
    shutil.copytree(planned, tmp_path / "planned")
    return Home.open(tmp_path / "planned" / "home")


@pytest.fixture
def session(home: Home) -> Session:
    (past,) = sessions(home)
    found = Session.find(home, past.session)
    assert found is not None
    return found


def plan(home: Home, system: System, calls: Path) -> Session:
    wanted = Constraints(experiments_max=3, seconds_max=300)
    return Session.begin(
        home, system, goal="All.", constraints=wanted, limits=LIMITS, experts=council(calls), proposer="ann"
    )


def step(home: Home, session: Session, node: str) -> str:
    (number,) = (step.number for step in steps(home, session.name) if step.node == node)
    return f"{session.name}@{number}"


def fork(home: Home, earlier: str, calls: Path, **changes: object) -> Session:
    given = {"limits": LIMITS, "experts": council(calls), "proposer": "ann"}
    return Session.fork(home, earlier, **{**given, **changes})  # type: ignore[arg-type]


def but_id(session: Session) -> dict[str, object]:
    return session.plan.model_dump(exclude={"id"})


def test_every_step_is_kept_with_what_came_of_it(home: Home, session: Session) -> None:
    kept = steps(home, session.name)
    assert tuple(step.node for step in kept) == PLANNED
    assert [step.number for step in kept] == list(range(len(PLANNED)))
    assert [step.at for step in kept] == sorted(step.at for step in kept)
    told = {step.node: step.came_of_it for step in kept}
    assert told["start"] == "All."
    assert told["propose"] == f"{len(NAMES) * len(session.system.services)} proposals"
    assert told["check"] == f"{len(session.plan.experiments)} experiments within every rule"
    (past,) = sessions(home)
    assert (past.session, past.stands, past.plan) == (session.name, "waits for approval", session.plan.id)
    with pytest.raises(InputError, match="no planning session"):
        steps(home, "plan-0")


def test_a_branch_from_any_step_comes_to_the_same_plan_under_another_name(
    home: Home, session: Session, calls: Path
) -> None:
    for node, rounds in (("start", 2), ("brief", 2), ("propose", 1), ("critique", 0), ("check", 0)):
        before = asked(calls)
        branch = fork(home, step(home, session, node), calls)
        assert branch.plan.id == branch.name != session.plan.id
        assert but_id(branch) == but_id(session)
        assert asked(calls) - before == rounds * len(NAMES)  # these experts remember nothing themselves
    assert {past.origin.split("@")[0] for past in sessions(home)} == {"", session.name}
    earlier = Session.find(home, session.plan.id)
    assert earlier is not None
    assert digest(earlier.plan) == digest(session.plan), "the earlier one is as it was"


def test_other_wishes_need_no_new_answers(home: Home, session: Session, calls: Path) -> None:
    before = asked(calls)
    wanted = Constraints(services=("web",), experiments_max=1, seconds_max=300)
    branch = fork(home, session.name, calls, constraints=wanted, goal="Only web.")
    assert asked(calls) == before
    assert branch.plan.goal == "Only web."
    assert [action.target.service for e in branch.plan.experiments for action in e.actions] == ["web"]  # type: ignore[union-attr]
    assert sessions(home)[0].origin == step(home, session, "critique")
    with pytest.raises(InputError, match="no experiment to plan"):
        fork(
            home, session.name, calls, limits=Limits(protected_services=tuple(s.name for s in session.system.services))
        )
    assert len(sessions(home)) == 2, "a branch that came to nothing leaves nothing"


def test_an_approval_does_not_go_over_into_a_branch(home: Home, session: Session, calls: Path) -> None:
    approval = approve(home, session.plan, LIMITS)
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        given = {"approval": approval.model_dump(mode="json"), "use": 1, "run": "run-1", "findings": [], "ideas": []}
        graph.update_state(at(session.name), given, as_node="approve")
    last = steps(home, session.name)[-1]
    assert (last.node, last.came_of_it) == ("approve", f"signed by {approval.grant.approver}")
    branch = fork(home, f"{session.name}@{last.number}", calls)
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        kept = graph.get_state(at(branch.name))
    assert kept.next == ("approve",)
    assert not {"approval", "use", "run"} & {key for key, value in kept.values.items() if value}
    with pytest.raises(SafetyRefusalError, match="approved plan"):
        branch.carry_out(approval, limits=LIMITS)
    assert not any(home.runs.iterdir())


def test_a_branch_is_made_under_the_limits_of_now_whatever_was_tried_before(
    home: Home, session: Session, calls: Path
) -> None:
    struck = {target for e in session.plan.experiments for a in e.actions for target in a.target.model_dump().values()}
    stricter = Limits(protected_services=tuple(s.name for s in session.system.services if s.name in struck)[:1])
    with pytest.raises(SafetyRefusalError, match="protected"):  # it takes them, and gets no further
        session.carry_out(approve(home, session.plan, stricter), limits=stricter)
    branch = fork(home, session.name, calls, limits=stricter)
    assert branch.limits == stricter
    assert sessions(home)[0].origin == step(home, session, "critique")


def test_what_a_branch_does_not_hold_is_changed_in_what_it_went_on_from(
    home: Home, session: Session, calls: Path
) -> None:
    late = fork(home, step(home, session, "check"), calls)
    with pytest.raises(InputError, match=f"went on from {session.name}@") as said:
        fork(home, late.name, calls, goal="else")
    assert said.value.hint == f"Say --from {session.name}."


def test_a_plan_by_hand_can_be_branched_but_not_changed(home: Home, session: Session, calls: Path) -> None:
    adopted = Session.adopt(home, session.plan, session.system, limits=LIMITS)
    branch = fork(home, adopted.name, calls)
    assert but_id(branch) == but_id(adopted)
    with pytest.raises(InputError, match="no experts made this plan"):
        fork(home, adopted.name, calls, goal="else")


def test_steps_that_are_not_there_are_said(home: Home, session: Session, calls: Path) -> None:
    for wrong, said in (("@99", "there is no step 99"), ("@x", "'x' is not a step's number")):
        with pytest.raises(InputError, match=said):
            fork(home, session.name + wrong, calls)


def test_a_branch_that_asked_nobody_is_not_replayed(home: Home, session: Session, calls: Path) -> None:
    with pytest.raises(InputError, match=f"its experts were asked in {session.name}@"):
        Session.replay(home, fork(home, session.name, calls))


def test_what_another_version_has_kept_is_said_in_one_sentence(
    home: Home, session: Session, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "VERSION", state.VERSION + 1)
    foreign = "kept by another version of Murphy: it is of version 1, and this"
    with pytest.raises(InputError, match=foreign):
        Session.find(home, session.plan.id)
    with pytest.raises(InputError, match=foreign):
        fork(home, session.name, calls)
    assert sessions(home)[0].stands == "kept by another version of Murphy"
    forget(home, session.name)
    monkeypatch.undo()
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        graph.update_state(at("old"), {"plan_id": "old", "plan": {"id": "old"}, "system": {}}, as_node="select")
    with pytest.raises(InputError, match="kept by another version of Murphy: its plan cannot be read"):
        Session.find(home, "old")


def test_forgotten_is_gone_from_the_file_and_its_name_is_not_given_again(
    home: Home, session: Session, system: System, calls: Path
) -> None:
    assert forget_older(home, datetime.now(UTC) - timedelta(days=1)) == ()
    with (
        closing(Shelf(home.sessions)) as shelf,
        shelf.claimed(session.name),
        pytest.raises(SafetyRefusalError, match="one process a session"),
    ):
        forget(home, session.name)
    assert forget_older(home, datetime.now(UTC)) == (session.name,)
    with closing(sqlite3.connect(home.sessions)) as db:
        counts = [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("checkpoints", "writes", "answers")]
    assert counts == [0, 0, 0]
    with pytest.raises(MurphyError, match="no planning session"):
        forget(home, session.name)
    assert plan(home, system, calls).name != session.name
