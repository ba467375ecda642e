"""One approval, one plan, one set of limits, one span of time: anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from executor.errors import SafetyRefusalError
from executor.model.approval import Approval, Grant
from executor.model.plan import AbortCondition, Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.person import whoami
from executor.safety.approval import installation_of, make_grant, verify
from executor.safety.limits import Limits
from executor.safety.pem import key_file, sign
from executor.safety.policy import Policy, approve_under, sign_policy
from executor.safety.signing import create_key, revoke_key, sign_grant
from executor.state.home import Home
from tests.executor.model.examples import plans
from tests.executor.safety.examples import CHECK, PRODUCTION, chain, experiment, hang, plan, slow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEN = chain()
PLAN = plan(TEN, hang("s1"), slow("s2", "s3"))
LIMITS = Limits(protected_services=("s9",), approval_s_max=7200)


@dataclass
class Office:
    """A home with two keys and a policy, and what they signed."""

    home: Home
    here: str
    by_person: Approval = field(init=False)
    by_policy: Approval = field(init=False)

    def grant(self, of: Plan = PLAN, limits: Limits = LIMITS, **more: Any) -> Grant:
        usual = {"approver": "alice", "basis": "person", "valid_s": 3600, "now": NOW, "installation": self.here}
        return make_grant(of, limits, **{**usual, **more})

    def signed(self, grant: Grant, key: str = "alice") -> Approval:
        """A grant signed by hand, past what ``sign_grant`` would refuse."""
        return Approval(grant=grant, key=key, signature=sign(key_file(self.home, key), grant))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    home = Home.open(tmp_path_factory.mktemp("home"))
    everywhere = tuple(Environment)
    create_key(home, "alice", environments=everywhere)
    create_key(home, "bob", environments=everywhere)
    policy = Policy(name="nightly", systems=("small",), allowed_faults=("*",), valid_until=NOW + timedelta(days=30))
    sign_policy(home, policy, "alice")
    office = Office(home, installation_of(home))
    office.by_person = sign_grant(home, "alice", office.grant())
    office.by_policy = approve_under(home, PLAN, TEN, LIMITS, "nightly", NOW)
    return office


def ask(
    office: Office,
    approval: Approval,
    of: Plan = PLAN,
    limits: Limits = LIMITS,
    now: datetime = NOW,
    system: System | None = TEN,
) -> None:
    verify(approval, of, limits, office.home, now, installation=office.here, system=system)


def both(office: Office) -> tuple[Approval, Approval]:
    return office.by_person, office.by_policy


def changed(value: BaseModel, data: st.DataObject) -> Any:
    """The same contract value with one leaf changed at random; still valid, and not the same."""
    raw = value.model_dump(mode="json")
    path = data.draw(st.sampled_from(list(_leaves(raw))))
    inner = raw
    for step in path[:-1]:
        inner = inner[step]
    old = inner[path[-1]]
    inner[path[-1]] = data.draw(
        st.one_of(
            st.sampled_from([old + 1, old / 2, not old] if isinstance(old, int | float) else [f"{old}x", f"{old}"[1:]]),
            st.none(),
            st.integers(0, 100),
            st.sampled_from(["s1", "s2", "development", "production", "alice", "bob", "policy", "none"]),
        )
    )
    try:
        other = type(value).model_validate(raw)
    except ValidationError:
        assume(False)
    assume(other != value)
    return other


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, (*path, key))
    else:
        yield path


thorough = settings(max_examples=300, suppress_health_check=list(HealthCheck))


def test_an_untouched_approval_holds_for_its_whole_time(office: Office) -> None:
    for approval in both(office):
        ask(office, approval)
        ask(office, approval, now=NOW + timedelta(seconds=3599))
        ask(office, Approval.model_validate_json(approval.model_dump_json(indent=2)))


def test_at_its_very_end_it_has_lapsed(office: Office) -> None:
    for approval in both(office):
        with pytest.raises(SafetyRefusalError, match="when it lapsed"):
            ask(office, approval, now=approval.grant.valid_until)
        with pytest.raises(SafetyRefusalError, match="at the earliest"):
            ask(office, approval, now=approval.grant.valid_from - timedelta(microseconds=1))


def test_a_persons_approval_needs_no_system(office: Office) -> None:
    ask(office, office.by_person, system=None)
    with pytest.raises(SafetyRefusalError, match="without the system"):
        ask(office, office.by_policy, system=None)


@thorough
@given(data=st.data())
def test_one_flipped_bit_of_an_approval_is_refused(office: Office, data: st.DataObject) -> None:
    approval = data.draw(st.sampled_from(both(office)))
    raw = bytearray(approval.model_dump_json().encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        flipped = Approval.model_validate_json(bytes(raw))
    except ValidationError:
        return
    assume(flipped != approval)
    with pytest.raises(SafetyRefusalError):
        ask(office, flipped)


@thorough
@given(data=st.data())
def test_a_changed_approval_is_refused(office: Office, data: st.DataObject) -> None:
    with pytest.raises(SafetyRefusalError):
        ask(office, changed(data.draw(st.sampled_from(both(office))), data))


@thorough
@given(data=st.data())
def test_a_changed_plan_is_refused(office: Office, data: st.DataObject) -> None:
    with pytest.raises(SafetyRefusalError, match="approved plan"):
        ask(office, data.draw(st.sampled_from(both(office))), of=changed(PLAN, data))


@settings(max_examples=50)
@given(other=plans(), name=st.sampled_from(["by_person", "by_policy"]))
def test_another_plan_is_refused(office: Office, other: Plan, name: str) -> None:
    with pytest.raises(SafetyRefusalError, match="approved plan"):
        ask(office, getattr(office, name), of=other)


@thorough
@given(data=st.data())
def test_changed_limits_are_refused(office: Office, data: st.DataObject) -> None:
    with pytest.raises(SafetyRefusalError, match="approved limits"):
        ask(office, data.draw(st.sampled_from(both(office))), limits=changed(LIMITS, data))


@thorough
@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.timezones()),
    data=st.data(),
)
def test_it_holds_exactly_within_its_time(office: Office, now: datetime, data: st.DataObject) -> None:
    approval = data.draw(st.sampled_from(both(office)))
    now = data.draw(st.sampled_from([now, NOW + (now - NOW) / 10_000]))  # far away, and near
    if approval.grant.valid_from <= now < approval.grant.valid_until:
        ask(office, approval, now=now)
    else:
        with pytest.raises(SafetyRefusalError, match=r"validity|policy"):
            ask(office, approval, now=now)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"valid_until": NOW + timedelta(hours=3)}, "would be valid for 10800 s, and the limit is 7200 s"),
        ({"valid_until": NOW - timedelta(hours=1)}, "would be valid for -3600 s"),
        ({"valid_until": datetime(2026, 5, 1, 13)}, "names no time zone"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "2026-05-01 12:00:01.00:00 at the earliest"),
        ({"environment": "staging"}, "the environment is development, and the limit is what was approved, staging"),
        ({"proposer": "somebody"}, "the proposer is planner"),
        ({"approver": "bob"}, "the grant names bob"),
        ({"policy_digest": "sha256:" + "0" * 64}, "a person's approval names a policy"),
        ({"basis": "policy"}, "there is no such policy"),
    ],
)
def test_a_true_signature_does_not_cover_what_may_not_be(office: Office, more: dict[str, Any], message: str) -> None:
    forged = Grant(**{**dict(office.grant()), **more})
    with pytest.raises(SafetyRefusalError, match=message):
        ask(office, office.signed(forged))


def test_an_unknown_key_is_refused(office: Office, tmp_path_factory: pytest.TempPathFactory) -> None:
    stranger = Home.open(tmp_path_factory.mktemp("stranger"))
    create_key(stranger, "mallory")
    create_key(stranger, "alice")
    with pytest.raises(SafetyRefusalError, match="nobody here trusts the key mallory"):
        ask(office, sign_grant(stranger, "mallory", office.grant(approver="mallory")))
    with pytest.raises(SafetyRefusalError, match="it is not alice's over this approval"):
        ask(office, sign_grant(stranger, "alice", office.grant()))


def test_only_the_named_approvers_count(office: Office) -> None:
    limits = Limits(approvers=("bob",))
    with pytest.raises(SafetyRefusalError, match="alice signed it, and the limit is bob"):
        ask(office, sign_grant(office.home, "alice", office.grant(limits=limits)), limits=limits)
    ask(office, sign_grant(office.home, "bob", office.grant(limits=limits, approver="bob")), limits=limits)


@pytest.mark.parametrize("proposer", ["alice", "Alice", " alice "])
def test_in_production_nobody_approves_a_plan_of_their_own(office: Office, proposer: str) -> None:
    prod = chain(environment=PRODUCTION)
    conditions = (AbortCondition(check=CHECK.id, availability_below=0.5),)
    of = plan(prod, experiment(hang("s1"), abort_conditions=conditions), proposer=proposer)
    limits = Limits(environments=(PRODUCTION,))
    with pytest.raises(SafetyRefusalError, match=r"four eyes: [aA]lice proposed it and holds the key alice"):
        ask(office, sign_grant(office.home, "alice", office.grant(of, limits)), of=of, limits=limits)
    ask(office, sign_grant(office.home, "bob", office.grant(of, limits, approver="bob")), of=of, limits=limits)
    own = plan(TEN, hang("s1"), proposer=proposer)
    ask(office, sign_grant(office.home, "alice", office.grant(own)), of=own)


def test_in_production_nobody_approves_a_plan_of_their_own_with_a_second_key(office: Office) -> None:
    """A key that was made here is its maker's, whatever its name."""
    conditions = (AbortCondition(check=CHECK.id, availability_below=0.5),)
    prod, limits = chain(environment=PRODUCTION), Limits(environments=(PRODUCTION,))
    of = plan(prod, experiment(hang("s1"), abort_conditions=conditions), proposer=whoami())
    with pytest.raises(SafetyRefusalError, match=r"four eyes: .* proposed it and holds the key bob"):
        ask(office, sign_grant(office.home, "bob", office.grant(of, limits, approver="bob")), of=of, limits=limits)


def test_a_key_that_has_lapsed_or_was_revoked_since_it_signed_counts_no_more(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    create_key(home, "alice", valid_until=NOW + timedelta(minutes=5))
    create_key(home, "bob")
    office = Office(home, installation_of(home))
    by_alice, by_bob = (sign_grant(home, name, office.grant(approver=name)) for name in ("alice", "bob"))
    last = NOW + timedelta(minutes=5) - timedelta(microseconds=1)
    for approval in (by_alice, by_bob):
        ask(office, approval, now=last)
    ask(office, by_bob, now=NOW + timedelta(minutes=5))
    with pytest.raises(SafetyRefusalError, match="refused by key validity"):
        ask(office, by_alice, now=NOW + timedelta(minutes=5))
    revoke_key(home, "bob", "stolen")
    with pytest.raises(SafetyRefusalError, match=r"refused by revoked keys: .* revoked bob on .* \(stolen\)"):
        ask(office, by_bob)


def test_a_grant_cannot_outlast_the_limits(office: Office) -> None:
    with pytest.raises(SafetyRefusalError, match="would be valid for 7201 s, and the limit is 7200 s"):
        office.grant(valid_s=7201)
    with pytest.raises(SafetyRefusalError, match="would be valid for 0 s"):
        office.grant(valid_s=0)
    for never in (float("nan"), float("inf"), 1e300, -1e300):
        with pytest.raises(SafetyRefusalError, match="would be valid for"):
            office.grant(valid_s=never)


def test_no_two_grants_are_alike(office: Office) -> None:
    assert office.grant().nonce != office.grant().nonce


def test_a_refusal_in_full(office: Office) -> None:
    edited = Plan.model_validate(json.loads(PLAN.model_dump_json()) | {"seed": 7})
    with pytest.raises(SafetyRefusalError) as caught:
        ask(office, office.by_person, of=edited)
    message = str(caught.value)
    assert message.startswith("refused by approved plan: the plan is sha256:")
    assert message.endswith(
        "The plan changed since it was approved, or the approval is another's. Approve the plan again."
    )
