"""What stands in ``system.yaml`` when a run is asked for counts, not what stood there when it was planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import InputError, MurphyError, SafetyRefusalError
from executor.model.system import System
from executor.safety.limits import Limits
from executor.state.home import Home
from knowledge.topology.annotations import save_system
from planner import files
from planner.cli.run import run
from planner.session import Session
from tests.executor.kit import approve
from tests.planner.systems import bazaar
from tests.planner.test_session import plan

LIMITS = Limits()


def asked_to_run(directory: Path, system: System, given: Path | None = None) -> MurphyError:
    """Approve the plan for the bazaar, write ``system``, and run: why not, since none of its processes is there.

    ``given`` is the file that is named; without it the one in the working directory, which is ``system``'s, is meant.
    """
    save_system(system, directory / "system.yaml")
    files.save(plan(), directory / "plan.json")
    files.save(approve(Home.open(), plan(), LIMITS), directory / "plan.approval.json")
    with pytest.raises(MurphyError) as refused:
        run(directory / "plan.json", approval=None, system=given, limits=None, as_json=False)
    return refused.value


@pytest.fixture(autouse=True)
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Session.adopt(Home.open(), plan(), bazaar(), limits=LIMITS)


def test_a_service_that_was_protected_since_is_refused(tmp_path: Path) -> None:
    first, *others = bazaar().services
    changed = System(**{**dict(bazaar()), "services": (type(first)(**{**dict(first), "protected": True}), *others)})
    refused = asked_to_run(tmp_path, changed)
    assert isinstance(refused, SafetyRefusalError)
    assert refused.rule == "system drift"
    assert f"{first.name} changed in protected" in str(refused)


@pytest.mark.parametrize("name", ["bazaar", "elsewhere"])
def test_the_same_system_and_a_file_about_another_stand_in_no_way(tmp_path: Path, name: str) -> None:
    system = bazaar() if name == "bazaar" else System(**{**dict(bazaar()), "name": name, "dependencies": ()})
    assert "drift" not in str(asked_to_run(tmp_path, system))


def test_a_file_that_is_named_counts_whatever_it_is_about(tmp_path: Path) -> None:
    another = System(**{**dict(bazaar()), "name": "elsewhere"})
    assert "is now elsewhere" in str(asked_to_run(tmp_path, another, given=tmp_path / "system.yaml"))


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "sytem.yaml"
    refused = asked_to_run(tmp_path, bazaar(), given=missing)
    assert isinstance(refused, InputError)
    assert str(missing) in str(refused)


def test_a_plan_that_no_session_knows_is_held_against_the_limits_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "another"))
    (tmp_path / "limits.toml").write_text("fault_s_max = 0.01", encoding="utf-8")
    (tmp_path / "given.toml").write_text("", encoding="utf-8")
    save_system(bazaar(), tmp_path / "system.yaml")
    files.save(plan(), tmp_path / "plan.json")
    files.save(approve(Home.open(), plan(), LIMITS), tmp_path / "plan.approval.json")
    asked = {"approval": None, "system": tmp_path / "system.yaml", "as_json": False}
    with pytest.raises(SafetyRefusalError, match="fault duration"):
        run(tmp_path / "plan.json", limits=None, **asked)
    with pytest.raises(MurphyError) as refused:  # none of its processes is there
        run(tmp_path / "plan.json", limits=tmp_path / "given.toml", **asked)
    assert "fault duration" not in str(refused.value)
