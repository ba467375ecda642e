"""Keys: made private, used only while private, and never silently replaced."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from executor.errors import InputError, SafetyRefusalError, UnavailableError
from executor.safety.approval import make_grant
from executor.safety.limits import Limits
from executor.safety.pem import key_file
from executor.safety.signing import create_key, sign_grant, trust_key
from executor.safety.trust import read_trusted, signed_by, trusted_keys
from executor.state.home import Home
from tests.executor.safety.examples import chain, hang, plan

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEN = chain()


def grant(approver: str = "alice"):  # type: ignore[no-untyped-def]
    given = {"approver": approver, "basis": "person", "valid_s": 60, "now": NOW}
    return make_grant(plan(TEN, hang("s1")), Limits(), **given, installation="0" * 32)


def test_a_new_key_is_private_and_trusted(home: Home) -> None:
    public = create_key(home, "alice")
    assert key_file(home, "alice").stat().st_mode & 0o777 == 0o600
    assert trusted_keys(home) == {"alice": public}
    entry = read_trusted(home)["alice"]
    assert entry.by
    assert datetime.fromisoformat(entry.at).tzinfo is not None
    assert sorted(path.name for path in home.keys.iterdir()) == ["alice.pem", "trusted.json"]


def test_a_signature_counts_for_its_grant_and_key_only(home: Home) -> None:
    public, other = create_key(home, "alice"), create_key(home, "bob")
    approval = sign_grant(home, "alice", grant())
    assert signed_by(public, approval.grant, approval.signature)
    assert not signed_by(other, approval.grant, approval.signature)
    assert not signed_by(public, grant(), approval.signature)  # another nonce


def test_every_other_spelling_of_a_signature_is_refused(home: Home) -> None:
    public = create_key(home, "alice")
    approval = sign_grant(home, "alice", grant())
    last = approval.signature[85]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for letter in alphabet:
        spelled = approval.signature[:85] + letter + "=="
        assert signed_by(public, approval.grant, spelled) is (letter == last)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_signs_nothing(home: Home, mode: int) -> None:
    create_key(home, "alice")
    key_file(home, "alice").chmod(mode)
    with pytest.raises(SafetyRefusalError, match=f"private key.*{mode:04o}.*0600"):
        sign_grant(home, "alice", grant())


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_can_write_counts_for_nothing(home: Home, mode: int) -> None:
    create_key(home, "alice")
    (home.keys / "trusted.json").chmod(mode)
    with pytest.raises(SafetyRefusalError, match="trusted keys"):
        trusted_keys(home)


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"alice": "key"}', '{"../alice": {}}'])
def test_a_damaged_list_counts_for_nothing(home: Home, damaged: str) -> None:
    create_key(home, "alice")
    (home.keys / "trusted.json").write_text(damaged)
    with pytest.raises(SafetyRefusalError, match="it is damaged"):
        trusted_keys(home)


def test_a_name_keeps_its_key_and_a_key_its_name(home: Home, tmp_path: Path) -> None:
    public = create_key(home, "alice")
    with pytest.raises(InputError, match="there is a key of that name"):
        create_key(home, "alice")
    elsewhere = create_key(Home.open(tmp_path / "elsewhere"), "alice")
    with pytest.raises(InputError, match="another key's name"):
        trust_key(home, "alice", elsewhere)
    with pytest.raises(InputError, match="listed already, as alice"):
        trust_key(home, "alice-too", public)
    trust_key(home, "alice", public)
    trust_key(home, "carol", elsewhere)
    assert trusted_keys(home) == {"alice": public, "carol": elsewhere}


def test_keys_made_at_the_same_time_are_all_kept(home: Home) -> None:
    threads = [threading.Thread(target=create_key, args=(home, f"k{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(trusted_keys(home)) == 12


@pytest.mark.parametrize("name", ["", "../alice", "a/b", ".hidden", "Alice", "a" * 64])
def test_a_name_that_could_be_a_path_is_refused(home: Home, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a key"):
        create_key(home, name)
    assert list(home.keys.iterdir()) == []


@pytest.mark.parametrize("public", ["", "AAAA", "not base64!", "A" * 43 + "=" * 3])
def test_what_is_no_public_key_is_not_trusted(home: Home, public: str) -> None:
    with pytest.raises(InputError, match="not an Ed25519 public key"):
        trust_key(home, "alice", public)


def test_only_the_approver_signs(home: Home) -> None:
    create_key(home, "alice")
    with pytest.raises(InputError, match="the grant is bob's to sign"):
        sign_grant(home, "alice", grant("bob"))
    with pytest.raises(InputError, match="there is no such key"):
        sign_grant(home, "bob", grant("bob"))


def test_a_file_that_is_no_such_key_is_refused(home: Home) -> None:
    path = key_file(home, "alice")
    path.write_text("nonsense")
    path.chmod(0o600)
    with pytest.raises(InputError, match="not a private key"):
        sign_grant(home, "alice", grant())
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InputError, match="not an Ed25519 key"):
        sign_grant(home, "alice", grant())


def test_a_list_that_cannot_be_written_is_left_as_it_was(home: Home) -> None:
    create_key(home, "alice")
    before = json.loads((home.keys / "trusted.json").read_text())
    (home.keys / "bob.pem").mkdir()  # stands in the way of the new key's file
    with pytest.raises((UnavailableError, InputError)):
        create_key(home, "bob")
    assert json.loads((home.keys / "trusted.json").read_text()) == before
