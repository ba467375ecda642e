"""Keys by hand: made, listed, exported, trusted, changed, revoked; each is a row of the trail."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.safety.approval import installation_of
from executor.safety.trust import read_trusted, trusted_file
from executor.state.audit import entries
from executor.state.home import Home
from tests.planner.cli.commands import murphy, refused, told

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Home.open()


def test_a_key_is_made_for_somebody_somewhere_for_some_time(home: Home, capsys: Said) -> None:
    murphy("keys", "create", "alice")
    murphy("keys", "create", "bob", "--role", "approver", "--environment", "production", "--valid-days", "30")
    found = told(capsys, "keys", "list")
    assert found["installation"] == installation_of(home)
    alice, bob = found["keys"]
    assert (alice["name"], alice["roles"], alice["valid_until"]) == ("alice", ["approver", "operator"], None)
    assert (bob["roles"], bob["environments"]) == (["approver"], ["production"])
    assert bob["valid_until"] > bob["at"]
    assert [(row.what, row.detail["key"], row.detail["operator"]) for row in entries(home)] == [
        ("key_created", "alice", ""),
        ("key_created", "bob", "alice"),
    ]


def test_a_key_from_elsewhere_is_trusted_and_changed_and_revoked(
    home: Home, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MURPHY_HOME", str(home.path.parent / "bobs"))
    murphy("keys", "create", "bob")
    capsys.readouterr()
    murphy("keys", "export", "bob")
    public = capsys.readouterr().out.strip()
    monkeypatch.setenv("MURPHY_HOME", str(home.path))
    murphy("keys", "create", "alice")
    murphy("keys", "trust", "bob", public, "--environment", "staging")
    bob = read_trusted(home)["bob"]
    assert (bob.public, bob.holder, bob.roles, bob.environments) == (public, "", ("approver",), ("staging",))
    assert bob.fingerprint in capsys.readouterr().out
    murphy("keys", "trust", "bob", "--environment", "production", "--environment", "staging")
    assert read_trusted(home)["bob"].environments == ("production", "staging")
    murphy("keys", "revoke", "bob", "--reason", "left the company")
    assert told(capsys, "keys", "list")["keys"][1]["revoked"]["reason"] == "left the company"
    murphy("keys", "list")
    assert "revoked" in capsys.readouterr().out
    assert "no key that was ever revoked" in refused("keys", "trust", "bob", public)
    acts = [row.what for row in entries(home)]
    assert acts == ["key_created", "key_trusted", "key_changed", "key_revoked"]


def test_the_end_of_a_key_can_be_moved_and_taken_away(home: Home) -> None:
    murphy("keys", "create", "alice")
    murphy("keys", "create", "bob", "--valid-days", "30")
    murphy("keys", "trust", "bob", "--environment", "staging")
    assert read_trusted(home)["bob"].valid_until is not None
    murphy("keys", "trust", "bob", "--no-expiry")
    bob = read_trusted(home)["bob"]
    assert (bob.valid_until, bob.environments) == (None, ("staging",))
    assert entries(home)[-1].detail["valid_until"] is None
    assert "--no-expiry: says the opposite" in refused("keys", "trust", "bob", "--no-expiry", "--valid-days", "3")


def test_wrong_words_are_refused_with_the_right_ones() -> None:
    assert refused("keys", "create", "alice", "--role", "king") == (
        "--role: 'king' is not one. Choose approver or operator."
    )
    assert "Choose development or staging or production" in refused("keys", "create", "al", "--environment", "prod")
    assert "there is no such key, and no public part was given" in refused("keys", "trust", "alice")
    assert "there is no such key" in refused("keys", "export", "alice")
    murphy("keys", "create", "alice")
    assert "--reason: says nothing" in refused("keys", "revoke", "alice", "--reason", "  ")


def test_an_edited_list_is_refused_until_a_person_accepts_it(home: Home, capsys: Said) -> None:
    murphy("keys", "create", "alice")
    trusted_file(home).write_bytes(trusted_file(home).read_bytes().replace(b'"staging"', b'"production"'))
    assert "murphy keys accept takes it as it is" in refused("keys", "list")
    assert "no terminal to ask a person on" in refused("keys", "accept")
    assert murphy("keys", "accept", "--yes") == 0
    assert "production" in capsys.readouterr().out
    assert told(capsys, "keys", "list")["keys"][0]["environments"] == ["development", "production"]
    assert entries(home)[-1].what == "keys_accepted"


def test_doctor_too_says_what_this_installation_is_called(home: Home, capsys: Said) -> None:
    (row,) = [row for row in told(capsys, "doctor") if row["what"] == "durable state"]
    assert installation_of(home) in row["detail"]
