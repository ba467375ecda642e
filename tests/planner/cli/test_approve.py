"""``murphy approve``: nothing is signed that would be refused, and who signs sees which processes are meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.safety.approval import installation_of, verify
from executor.safety.limits import Limits, load_limits
from executor.state.audit import entries
from executor.state.home import Home
from knowledge.topology.annotations import save_system
from planner import files
from planner.session import Session
from tests.executor.kit import Shelf, experiment_on, plan_of, shelves, system_of
from tests.planner.cli.commands import murphy, refused

Said = pytest.CaptureFixture[str]
SIGN = ("approve", "--key", "alice", "--yes")


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    with shelves("shop") as (running,):
        yield running


@pytest.fixture
def system(shelf: Shelf) -> System:
    return system_of([shelf])


@pytest.fixture
def plan(system: System) -> Plan:
    return plan_of(system, (experiment_on(system, "shop"),))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: System, plan: Plan) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    files.save(plan, Path("plan.json"))
    save_system(system, Path("system.yaml"))
    murphy("keys", "create", "alice")
    return Home.open()


def test_what_was_signed_is_in_the_trail(home: Home, plan: Plan) -> None:
    assert murphy(*SIGN) == 0
    grant = files.load_approval(Path("plan.approval.json")).grant
    last = entries(home)[-1]
    assert (last.what, last.detail["key"], last.detail["plan"]) == ("approved", "alice", digest(plan))
    assert last.detail["limits"] == digest(Limits())
    assert (last.detail["uses"], last.detail["installation"]) == (1, grant.installation)
    assert last.detail["valid_until"] == grant.model_dump(mode="json")["valid_until"]


def test_who_signs_sees_the_process_that_is_meant(shelf: Shelf, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shelf.found()
    assert found is not None
    for command in (("show",), SIGN):
        capsys.readouterr()
        murphy(*command)
        said = capsys.readouterr().out
        (row,) = [line for line in said.splitlines() if line.startswith("struck")]
        assert f"shop-1    {found.pid}" in row
        assert str(Path(f"/proc/{found.pid}/cwd").readlink())[:20] in row
        assert "shelf.py" in said
    assert os.getpid() != found.pid


def unsigned(home: Home, message: str, *more: str) -> None:
    assert message in refused(*SIGN, *more)
    assert not Path("plan.approval.json").exists()
    assert [row.what for row in entries(home)] == ["key_created"]


def test_a_plan_for_a_service_that_is_not_there_is_not_signed(home: Home, plan: Plan) -> None:
    text = plan.model_dump_json().replace('"service":"shop","count"', '"service":"ghost","count"')
    assert "ghost" in text
    Path("plan.json").write_text(text)
    unsigned(home, "ghost: the system has no such service.")


def test_a_plan_that_breaks_a_rule_is_not_signed(home: Home) -> None:
    Path("limits.toml").write_text('protected_services = ["shop"]')
    assert load_limits().protected_services == ("shop",)
    unsigned(home, "refused by protected services")


def test_a_checkout_does_not_loosen_the_operators_limits(home: Home) -> None:
    (home.path / "limits.toml").write_text('protected_services = ["shop"]')
    Path("limits.toml").write_text("[blast_radius]\ntraffic_percent = 100")
    unsigned(home, "blast_radius.traffic_percent is 100, which allows more than the operator's 10")
    Path("limits.toml").write_text("[blast_radius]\ntraffic_percent = 5")
    unsigned(home, "refused by protected services")


def test_a_plan_for_a_system_that_has_drifted_is_not_signed(home: Home, system: System) -> None:
    (service,) = system.services
    save_system(
        System(name="library", services=(type(service)(**{**dict(service), "protected": True}),)), Path("s.yaml")
    )
    unsigned(home, "refused by protected services", "--system", "s.yaml")
    more = type(service)(**{**dict(service), "criticality": 1})
    save_system(System(name="library", services=(more,)), Path("s.yaml"))
    unsigned(home, "refused by system drift", "--system", "s.yaml")


def test_a_session_that_knows_the_system_as_it_was_says_what_changed(home: Home, system: System, plan: Plan) -> None:
    Session.adopt(home, plan, system, limits=Limits())
    (service,) = system.services
    save_system(
        System(name="library", services=(type(service)(**{**dict(service), "criticality": 1}),)), Path("system.yaml")
    )
    unsigned(home, "library is not as it was planned for (shop changed in criticality)")


def test_the_session_knows_the_system_too(home: Home, system: System, plan: Plan) -> None:
    Session.adopt(home, plan, system, limits=Limits())
    Path("system.yaml").unlink()
    Path("limits.toml").write_text('protected_services = ["shop"]')
    unsigned(home, "refused by protected services")


def test_without_the_system_a_person_is_told_so(capsys: Said) -> None:
    Path("system.yaml").unlink()
    assert murphy(*SIGN) == 0
    assert "The system is not at hand" in capsys.readouterr().out


def test_a_key_that_may_not_approve_this_signs_nothing(home: Home) -> None:
    murphy("keys", "trust", "alice", "--role", "operator")
    assert "a key that is approver" in refused(*SIGN)
    assert not Path("plan.approval.json").exists()
    assert [row.what for row in entries(home)] == ["key_created", "key_changed"]


def test_an_unknown_key_is_refused_before_the_plan_is_shown(home: Home, capsys: Said) -> None:
    capsys.readouterr()
    assert "bob: there is no such key" in refused("approve", "--key", "bob", "--yes")
    assert "Plan" not in capsys.readouterr().out


def test_who_signs_is_told_that_one_instance_is_always_allowed(capsys: Said) -> None:
    assert murphy(*SIGN) == 0
    assert "though always one instance or edge" in " ".join(capsys.readouterr().out.split())


def test_who_signs_sees_whose_word_on_the_error_budget_is_taken(capsys: Said) -> None:
    Path("limits.toml").write_text("[error_budget]\nsource = '/srv/left.json'\nfloor = 0.2")
    assert murphy(*SIGN) == 0
    assert "Error budget: at least 20 % left, says /srv/left.json." in " ".join(capsys.readouterr().out.split())


def test_it_can_be_for_another_installation_and_several_runs(home: Home) -> None:
    other = "0123456789abcdef" * 2
    assert murphy(*SIGN, "--for", other) == 0
    assert files.load_approval(Path("plan.approval.json")).grant.installation == other
    assert "refused by installation" in refused("run")
    assert "--for abc: is not an installation" in refused(*SIGN, "--for", "abc")
    assert "would be good for 3 runs, and the limit is 1" in refused(*SIGN, "--uses", "3")
    Path("limits.toml").write_text("approval_uses_max = 3")
    assert murphy(*SIGN, "--uses", "3") == 0
    assert files.load_approval(Path("plan.approval.json")).grant.uses == 3


def test_somebody_approves_on_a_machine_of_their_own(
    home: Home, plan: Plan, system: System, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their private key never leaves it: only its public part, the plan and the approval go to and fro."""
    here = installation_of(home)
    monkeypatch.setenv("MURPHY_HOME", str(home.path.parent / "bobs"))
    murphy("keys", "create", "bob")
    capsys.readouterr()
    murphy("keys", "export", "bob")
    public = capsys.readouterr().out.strip()
    assert murphy("approve", "--key", "bob", "--yes", "--for", here) == 0
    approval = files.load_approval(Path("plan.approval.json"))
    monkeypatch.setenv("MURPHY_HOME", str(home.path))
    now = datetime.now(UTC)
    with pytest.raises(SafetyRefusalError, match="nobody here trusts the key bob"):
        verify(approval, plan, Limits(), home, now, installation=here, system=system)
    murphy("keys", "trust", "bob", public)
    verify(approval, plan, Limits(), home, now, installation=here, system=system)
    assert not (home.keys / "bob.pem").exists()
