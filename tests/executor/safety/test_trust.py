"""Whose signatures count, for what, where and until when, and who can change that."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.clock import SYSTEM_CLOCK
from executor.errors import InputError, SafetyRefusalError, UnavailableError
from executor.model.vocabulary import Environment
from executor.safety.anchored import keep
from executor.safety.pem import key_file
from executor.safety.signing import accept_list, create_key, revoke_key, trust_key
from executor.safety.trust import Role, answering, read_trusted, trusted_file, trusted_keys
from executor.state.audit import entries
from executor.state.home import Home

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEVELOPMENT, STAGING, PRODUCTION = Environment
OPERATOR, APPROVER = Role.OPERATOR, Role.APPROVER


def ask(home: Home, name: str, role: Role = APPROVER, where: Environment = DEVELOPMENT, now: datetime = NOW) -> None:
    answering(home, name, role, where, now)


def refused(home: Home, name: str, role: Role = APPROVER, where: Environment = DEVELOPMENT, now: datetime = NOW) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        ask(home, name, role, where, now)
    return str(caught.value)


def test_the_first_key_is_the_operators_and_later_ones_approve(home: Home) -> None:
    create_key(home, "alice")
    create_key(home, "bob")
    ask(home, "alice", OPERATOR)
    ask(home, "alice", APPROVER, STAGING)
    ask(home, "bob")
    assert refused(home, "bob", OPERATOR) == (
        "refused by key role: bob is approver, and the limit is a key that is operator. "
        "An operator can make it one: murphy keys trust bob --role operator."
    )
    assert "alice counts in development and staging, and the limit is a key for production" in refused(
        home, "alice", where=PRODUCTION
    )
    assert "nobody here trusts the key carol" in refused(home, "carol")


def test_an_operator_says_where_a_key_counts_and_what_for(home: Home) -> None:
    create_key(home, "alice")
    create_key(home, "bob", environments=(PRODUCTION,))
    ask(home, "bob", where=PRODUCTION)
    assert "bob counts in production" in refused(home, "bob")
    trust_key(home, "bob", roles=(OPERATOR,))
    ask(home, "bob", OPERATOR, PRODUCTION)
    assert "bob is operator" in refused(home, "bob", where=PRODUCTION)
    changed = [row.detail for row in entries(home) if row.what == "key_changed"]
    assert [(row["key"], row["operator"], row["roles"]) for row in changed] == [("bob", "alice", ["operator"])]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    offset=st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    near=st.integers(-2, 2).map(lambda n: timedelta(microseconds=n)),
    zone=st.timezones(),
)
def test_a_key_counts_until_its_end_and_not_at_it(
    tmp_path_factory: pytest.TempPathFactory, offset: timedelta, near: timedelta, zone: object
) -> None:
    home = Home.open(tmp_path_factory.getbasetemp() / "lapsing")
    if not trusted_file(home).exists():
        create_key(home, "alice", valid_until=NOW)
    for moment in (NOW + offset, NOW + near):
        local = moment.astimezone(zone)  # type: ignore[arg-type]
        if moment < NOW:
            ask(home, "alice", now=local)
        else:
            assert "2026-05-01 12:00:00+00:00, when it lapsed" in refused(home, "alice", now=local)


some = st.sets(st.sampled_from(Environment), min_size=1)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(roles=st.sets(st.sampled_from(Role), min_size=1), counts=some, role=st.sampled_from(Role), where=some)
def test_a_key_counts_in_its_roles_and_environments_and_in_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    roles: set[Role],
    counts: set[Environment],
    role: Role,
    where: set[Environment],
) -> None:
    home = Home.open(tmp_path_factory.getbasetemp() / "roles")
    if not trusted_file(home).exists():
        create_key(home, "alice")
        create_key(home, "bob")
    trust_key(home, "bob", roles=tuple(roles), environments=tuple(counts), by="alice")
    for environment in where:
        if role in roles and environment in counts:
            ask(home, "bob", role, environment)
        else:
            assert "refused by key " in refused(home, "bob", role, environment)


def test_a_revoked_key_counts_for_nothing_and_stays_listed(home: Home) -> None:
    public = create_key(home, "alice")
    bobs = create_key(home, "bob")
    revoke_key(home, "bob", "his laptop was stolen")
    assert refused(home, "bob").startswith("refused by revoked keys: ")
    assert "his laptop was stolen" in refused(home, "bob", now=NOW - timedelta(days=900))
    assert trusted_keys(home) == {"alice": public}
    gone = read_trusted(home)["bob"].revoked
    assert gone is not None
    assert gone.reason == "his laptop was stolen"
    assert gone.by
    with pytest.raises(SafetyRefusalError, match="no key that was ever revoked"):
        trust_key(home, "bob", bobs)
    with pytest.raises(InputError, match="listed already, as bob"):
        trust_key(home, "robert", bobs)
    with pytest.raises(InputError, match="another key's name"):
        trust_key(home, "bob", create_key(Home.open(home.path.parent / "else"), "bob"))
    with pytest.raises(InputError, match="there is a key of that name"):
        create_key(home, "bob")
    with pytest.raises(InputError, match="there is no such key"):
        revoke_key(home, "carol", "who is that")
    revoke_key(home, "bob", "again")
    assert [row.detail["reason"] for row in entries(home) if row.what == "key_revoked"] == ["his laptop was stolen"]


def test_without_an_operators_private_key_nothing_changes(home: Home) -> None:
    create_key(home, "alice")
    create_key(home, "bob")
    key_file(home, "alice").rename(home.path / "on-a-stick.pem")
    before = trusted_file(home).read_bytes()
    with pytest.raises(SafetyRefusalError) as caught:
        create_key(home, "mallory")
    assert str(caught.value) == (
        "refused by operators: no operator's private key is here, and the limit is the private key of alice. "
        "Only an operator can change whose signatures count."
    )
    with pytest.raises(SafetyRefusalError, match="bob is no operator"):
        trust_key(home, "bob", roles=(OPERATOR,), by="bob")
    create_key(Home.open(home.path.parent / "else"), "alice")
    key_file(Home(home.path.parent / "else"), "alice").rename(key_file(home, "alice"))
    with pytest.raises(SafetyRefusalError, match="refused by operators"):  # another key under the operator's name
        trust_key(home, "bob", roles=(OPERATOR,))
    assert trusted_file(home).read_bytes() == before
    assert not key_file(home, "mallory").exists()
    revoke_key(home, "bob", "its holder may always give it up")
    (home.path / "on-a-stick.pem").rename(key_file(home, "alice"))
    create_key(home, "carol")


def test_of_several_operators_one_is_named(home: Home) -> None:
    with pytest.raises(InputError, match="no operator's key counts here"):
        create_key(home, "alice", by="zoe")
    create_key(home, "alice")
    create_key(home, "bob", roles=(OPERATOR,))
    with pytest.raises(InputError, match=r"several operators are here: alice, bob\. Choose one with --by"):
        create_key(home, "carol")
    create_key(home, "carol", by="bob")
    assert entries(home)[-1].detail["operator"] == "bob"


@pytest.mark.parametrize("end", ["revoked", "lapsed"])
def test_nobody_is_locked_out_when_no_operator_is_left(home: Home, end: str) -> None:
    create_key(home, "alice", valid_until=SYSTEM_CLOCK.now() if end == "lapsed" else None)
    if end == "revoked":
        revoke_key(home, "alice", "left")
    create_key(home, "bob", roles=(OPERATOR,))
    ask(home, "bob", OPERATOR, now=SYSTEM_CLOCK.now())
    assert entries(home)[-1].detail["operator"] == ""


def test_an_edit_by_hand_is_noticed_until_a_person_has_looked(home: Home) -> None:
    create_key(home, "alice")
    create_key(home, "bob")
    older = trusted_file(home).read_bytes()
    revoke_key(home, "bob", "left")
    now = trusted_file(home).read_bytes()
    edited = json.dumps({**json.loads(now), "bob": {**json.loads(now)["bob"], "revoked": None}}).encode()
    for content in (older, edited, b"{}", now + b"\n"):
        trusted_file(home).write_bytes(content)
        assert "and the limit is a whole list that only its owner can write, as murphy keys left it" in refused(
            home, "alice"
        )
        with pytest.raises(SafetyRefusalError, match="trusted keys"):
            create_key(home, "mallory")
    trusted_file(home).unlink()
    assert "murphy keys accept takes it as it is" in refused(home, "alice")
    trusted_file(home).write_bytes(now)
    assert "revoked bob" in refused(home, "bob")
    trusted_file(home).write_bytes(older)
    trusted_file(home).chmod(0o600)
    assert set(accept_list(home)) == {"alice", "bob"}
    ask(home, "bob")
    last = entries(home)[-1]
    assert (last.what, set(last.detail["keys"])) == ("keys_accepted", {"alice", "bob"})


def test_a_list_that_no_row_vouches_for_counts_for_nothing_until_a_person_has_looked(home: Home) -> None:
    """As one of the first version, or after the journal was taken away."""
    public = create_key(Home.open(home.path.parent / "else"), "alice")
    entry = {"public": public, "by": "alice", "at": "2026-01-01T00:00:00+00:00"}
    trusted_file(home).write_text(json.dumps({"alice": entry}))
    trusted_file(home).chmod(0o600)
    assert "no row of the audit trail vouches for it" in refused(home, "alice")
    with pytest.raises(SafetyRefusalError, match="murphy keys accept takes it as it is"):
        create_key(home, "mallory")
    assert set(accept_list(home)) == {"alice"}
    for role in Role:
        ask(home, "alice", role, STAGING)
    assert "counts in development and staging" in refused(home, "alice", where=PRODUCTION)
    key_file(Home(home.path.parent / "else"), "alice").rename(key_file(home, "alice"))
    create_key(home, "bob")
    for path in home.path.glob("journal.db*"):
        path.unlink()
    assert "no row of the audit trail vouches for it" in refused(home, "bob")
    accept_list(home)
    ask(home, "bob")
    trusted_file(home).write_text(json.dumps({"alice": entry}))
    assert "left another list" in refused(home, "alice")
    trusted_file(home).write_text("{}")
    for path in home.path.glob("journal.db*"):
        path.unlink()
    create_key(home, "carol")  # an empty list needs no row: so every home begins


AT_ONCE = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END"
AT_THE_COMMIT = """
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER late AFTER INSERT ON audit BEGIN INSERT INTO child VALUES (1); END
"""


@pytest.mark.parametrize("fails", [AT_ONCE, AT_THE_COMMIT], ids=["at once", "at the commit"])
def test_a_change_that_cannot_be_written_down_is_not_made(home: Home, fails: str) -> None:
    create_key(home, "alice")
    before = trusted_file(home).read_bytes()
    with closing(sqlite3.connect(home.journal)) as db:
        db.executescript(fails)
    with pytest.raises(UnavailableError, match=r"disk full|constraint failed"):
        create_key(home, "bob")
    assert trusted_file(home).read_bytes() == before
    assert not key_file(home, "bob").exists()
    ask(home, "alice")


def test_a_crash_in_the_middle_of_a_change_fails_closed(home: Home) -> None:
    create_key(home, "alice")
    before, rows = trusted_file(home).read_bytes(), len(entries(home))
    changed = before + b" "
    trusted_file(home).write_bytes(changed)  # the file came into its place, and the row was never committed
    assert len(entries(home)) == rows
    assert "left another list" in refused(home, "alice")
    accept_list(home)
    ask(home, "alice")


def test_what_replaces_a_file_is_private_and_told(home: Home) -> None:
    path = home.keys / "policies" / "x.json"
    keep(home, path, b"one", "policy_signed", {"policy": "x"})
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    last = entries(home)[-1]
    assert (last.what, last.detail["policy"]) == ("policy_signed", "x")


@pytest.mark.parametrize("detail", ["x", "[]", "{}", '{"digest": 5}'])
def test_a_row_that_says_nothing_vouches_for_nothing(home: Home, detail: str) -> None:
    create_key(home, "ann")
    with closing(sqlite3.connect(home.journal)) as db, db:
        db.execute("DROP TRIGGER audit_stays")
        db.execute("UPDATE audit SET detail = ? WHERE what = 'key_created'", (detail,))
    with pytest.raises(SafetyRefusalError, match="left another list"):
        read_trusted(home)
