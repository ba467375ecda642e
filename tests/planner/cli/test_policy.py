"""Policies by hand: an operator signs a file, it is in force, and it ends when it is revoked or its signer is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.safety.approval import installation_of, verify
from executor.safety.limits import Limits
from executor.safety.mandate import policy_file
from executor.safety.policy import approve_under
from executor.state.audit import entries
from executor.state.home import Home
from tests.executor.safety.examples import chain, hang, plan
from tests.planner.cli.commands import murphy, refused, told

Said = pytest.CaptureFixture[str]
TEN = chain()
PLAN = plan(TEN, hang("s1"))
UNTIL = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    murphy("keys", "create", "alice")
    murphy("keys", "create", "bob")
    return Home.open()


def write(**changed: str) -> str:
    told = {
        "name": '"nightly"',
        "systems": '["small"]',
        "allowed_faults": '["service.*"]',
        "valid_until": f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}",
        "fault_s_max": "20",
    }
    Path("nightly.toml").write_text("".join(f"{key} = {value}\n" for key, value in {**told, **changed}.items()))
    return "nightly.toml"


def test_a_signed_policy_approves_until_it_is_revoked(home: Home, capsys: Said) -> None:
    assert murphy("policy", "sign", write(), "--key", "alice", "--yes") == 0
    assert told(capsys, "policy", "list") == [{"name": "nightly", "why_not": None}]
    assert told(capsys, "policy", "show", "nightly")["mandate"]["policy"]["fault_s_max"] == 20
    now, here = datetime.now(UTC), installation_of(home)
    approval = approve_under(home, PLAN, TEN, Limits(), "nightly", now)
    verify(approval, PLAN, Limits(), home, now, installation=here, system=TEN)
    older = policy_file(home, "nightly").read_bytes()
    murphy("policy", "revoke", "nightly", "--reason", "the freeze has begun")
    for _ in range(2):
        with pytest.raises(SafetyRefusalError, match=r"revoked it on .*the freeze has begun"):
            verify(approval, PLAN, Limits(), home, now, installation=here, system=TEN)
        policy_file(home, "nightly").write_bytes(older)  # a copy put back changes nothing
    assert "the freeze has begun" in told(capsys, "policy", "list")[0]["why_not"]
    assert "the freeze has begun" in refused("policy", "show", "nightly")
    assert "the freeze has begun" in refused("policy", "revoke", "nightly", "--reason", "again")
    murphy("policy", "sign", write(), "--key", "alice", "--yes")
    with pytest.raises(SafetyRefusalError, match="under another version"):
        verify(approval, PLAN, Limits(), home, now, installation=here, system=TEN)
    acts = [row.what for row in entries(home)]
    assert acts == ["key_created"] * 2 + ["policy_signed", "approved", "policy_revoked", "policy_signed"]
    assert entries(home)[3].who == "policy nightly"


def test_it_ends_with_the_key_that_signed_it(capsys: Said) -> None:
    murphy("policy", "sign", write(), "--key", "alice", "--yes")
    murphy("keys", "revoke", "alice", "--reason", "left")
    assert "revoked alice" in told(capsys, "policy", "list")[0]["why_not"]


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({}, "bob", "bob is approver, and the limit is a key that is operator"),
        ({"environments": '["production"]'}, "alice", "a key for production"),
        ({}, "carol", "there is no such key"),
        ({"valid_until": "2030-01-01T00:00:00"}, "alice", "names no time zone"),
        ({"systems": "[]"}, "alice", "nightly.toml: systems: "),
        ({"colour": '"red"'}, "alice", "nightly.toml: colour: "),
        ({"name": "nightly"}, "alice", "nightly.toml: not TOML: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_a_policy_is_refused(changed: dict[str, str], key: str, said: str, capsys: Said) -> None:
    assert said in refused("policy", "sign", write(**changed), "--key", key, "--yes")
    assert told(capsys, "policy", "list") == []


def test_it_is_a_person_who_signs(capsys: Said) -> None:
    assert "no terminal to ask a person on" in refused("policy", "sign", write(), "--key", "alice")
    assert told(capsys, "policy", "list") == []
    assert "none.toml: is not there" in refused("policy", "sign", "none.toml", "--key", "alice", "--yes")
