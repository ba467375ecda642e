"""An approval counts on one installation, and for as many runs as were granted; a copy anywhere else is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from executor.errors import SafetyRefusalError
from executor.model.approval import Approval, Grant
from executor.model.plan import Plan
from executor.model.system import System
from executor.run.engine import run, run_id
from executor.safety.approval import installation_of, make_grant, verify
from executor.safety.limits import Limits, to_toml
from executor.safety.pem import key_file, sign
from executor.safety.signing import create_key, sign_grant
from executor.state.home import Home
from executor.state.journal import Journal
from knowledge.topology.annotations import save_system
from planner import files
from tests.executor import kit
from tests.executor.safety.examples import chain, hang, plan

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEN = chain()
PLAN = plan(TEN, hang("s1"))
LIMITS = Limits(approval_uses_max=5)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home.open(tmp_path_factory.mktemp("here") / "home")
    create_key(home, "alice")
    return home


def approved(home: Home, limits: Limits = LIMITS, **more: Any) -> Approval:
    usual = {"approver": "alice", "basis": "person", "valid_s": 3600, "now": NOW, "installation": installation_of(home)}
    return sign_grant(home, "alice", make_grant(PLAN, limits, **{**usual, **more}))


def ask(home: Home, approval: Approval, limits: Limits = LIMITS) -> None:
    verify(approval, PLAN, limits, home, NOW, installation=installation_of(home), system=TEN)


def refused(home: Home, approval: Approval) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        ask(home, approval)
    return str(caught.value)


def test_it_counts_where_it_was_given(home: Home) -> None:
    ask(home, approved(home))


def test_a_copied_home_is_another_installation(home: Home, tmp_path: Path) -> None:
    approval = approved(home)
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path)
    here, there = installation_of(copy), installation_of(home)
    assert here != there
    assert refused(copy, approval) == (
        f"refused by installation: this is {here}, and the limit is the one it was approved for, {there}. "
        f"Approve it here, or there for this one: murphy approve --for {here}."
    )
    ask(copy, approved(home, installation=here))


def test_the_same_home_on_another_machine_is_another_installation(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = approved(home)
    monkeypatch.setattr("executor.state.journal.machine", lambda: "another-machine")
    assert refused(home, approval).startswith("refused by installation")


ELSEWHERE = """
hostname elsewhere
for place in /etc/machine-id /var/lib/dbus/machine-id; do if [ -e $place ]; then mount --bind "$1" $place; fi; done
shift
exec "$@"
"""
"""Another name and another machine id, for one process alone: in name spaces of its own."""


@pytest.mark.slow
@pytest.mark.root
def test_the_command_refuses_it_on_another_machine(running: tuple[System, Plan], tmp_path: Path) -> None:
    if os.geteuid() != 0 and os.environ.get("CI") != "true":
        pytest.skip("only root can give a process another machine's name")
    system, of = running
    home = Home.open(tmp_path / "home")
    files.save(of, tmp_path / "plan.json")
    files.save(kit.approve(home, of, kit.LIMITS), tmp_path / "plan.approval.json")
    save_system(system, tmp_path / "system.yaml")
    (tmp_path / "limits.toml").write_text(to_toml(kit.LIMITS))
    (tmp_path / "id").write_text("0" * 32 + "\n")
    command = [sys.executable, "-m", "planner.cli.main", "run"]
    there = ["unshare", "--mount", "--uts", "sh", "-ec", ELSEWHERE, "sh", str(tmp_path / "id"), *command]
    environment = {**os.environ, "MURPHY_HOME": str(home.path), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(there, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 3, done.stderr
    assert "refused by installation: this is " in done.stderr
    assert f"and the limit is the one it was approved for, {installation_of(home)}." in done.stderr
    with closing(Journal(home.journal)) as journal:
        assert (journal.running(), journal.pending()) == ([], [])
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode in (0, 1)


def test_a_journal_made_anew_is_another_installation(tmp_path: Path) -> None:
    """Or a used approval could be used again by removing what remembers that it was."""
    home = Home.open(tmp_path / "home")
    create_key(home, "alice")
    approval = approved(home)
    for path in home.path.glob("journal.db*"):
        path.unlink()
    assert refused(home, approval).startswith("refused by installation")


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(other=st.text("0123456789abcdef", min_size=32, max_size=32))
def test_any_other_installation_is_refused(home: Home, other: str) -> None:
    assume(other != installation_of(home))
    assert refused(home, approved(home, installation=other)).startswith("refused by installation")


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(uses=st.integers(1, 1000), most=st.integers(1, 1000))
def test_no_more_uses_than_the_operator_allows(home: Home, uses: int, most: int) -> None:
    limits = Limits(approval_uses_max=most)
    if uses <= most:
        ask(home, approved(home, limits, uses=uses), limits)
        return
    with pytest.raises(SafetyRefusalError, match=rf"would be good for {uses} runs, and the limit is {most} "):
        approved(home, limits, uses=uses)
    forged = Grant(**{**dict(approved(home, limits).grant), "uses": uses})
    signed = Approval(grant=forged, key="alice", signature=sign(key_file(home, "alice"), forged))
    with pytest.raises(SafetyRefusalError, match="refused by approval uses"):
        ask(home, signed, limits)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[System, Plan]]:
    with kit.shelves("base") as (base,):
        system = kit.system_of([base])
        short = kit.experiment_on(system, "base", duration_s=0.5)
        yield system, kit.plan_of(system, (short,))


def test_each_use_is_one_run_under_a_name_of_its_own(running: tuple[System, Plan], tmp_path: Path) -> None:
    system, of = running
    home, limits = Home.open(tmp_path / "home"), Limits(**{**dict(kit.LIMITS), "approval_uses_max": 2})
    approval = kit.approve(home, of, limits, uses=2)
    names = []
    for use in (1, 2):
        evidence = run(of, approval, system=system, limits=limits, home=home, use=use)
        assert (evidence.outcome, evidence.owed) == ("completed", ())
        names.append(evidence.run)
        with pytest.raises(SafetyRefusalError) as caught:
            run(of, approval, system=system, limits=limits, home=home, use=use)
        assert caught.value.rule == "uses"
    assert names == [run_id(approval), f"{run_id(approval)}-2"]
    with closing(Journal(home.journal)) as journal:
        assert journal.used(approval.grant.nonce) == tuple(names)
    with pytest.raises(SafetyRefusalError, match=rf"used by {names[0]}, {names[1]}, and the limit is 2 runs"):
        run(of, approval, system=system, limits=limits, home=home, use=3)
