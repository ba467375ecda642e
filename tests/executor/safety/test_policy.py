"""Approving without a person: only within what an operator signed, and only while it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from executor.errors import InputError, SafetyRefusalError
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.faults.service import Overload
from executor.model.plan import AbortCondition, InstanceTarget, Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.approval import installation_of, make_grant, verify
from executor.safety.limits import BlastRadius, Limits
from executor.safety.mandate import SignedPolicy, policy_file, read_policy
from executor.safety.pem import key_file, sign
from executor.safety.policy import Policy, approve_under, sign_policy
from executor.safety.signing import accept_list, create_key, revoke_key
from executor.state.home import Home
from tests.executor.safety.examples import CHECK, PRODUCTION, act, chain, experiment, hang, plan, slow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEN = chain()
PLAN = plan(TEN, hang("s1"))
WIDE = Limits(blast_radius=BlastRadius(instances_percent=50, services_percent=50, traffic_percent=100))


def policy(**more: Any) -> Policy:
    usual = {"name": "nightly", "systems": ("small",), "allowed_faults": ("service.*",)}
    return Policy(**{**usual, "valid_until": NOW + timedelta(days=30), **more})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.open(tmp_path / "home")
    create_key(home, "operator", environments=tuple(Environment))
    return home


def ask(home: Home, approval: Approval, *, of: Plan = PLAN, system: System = TEN, limits: Limits = WIDE) -> None:
    verify(approval, of, limits, home, NOW, installation=installation_of(home), system=system)


def under(home: Home, *, of: Plan = PLAN, system: System = TEN, limits: Limits = WIDE, now: datetime = NOW) -> Approval:
    return approve_under(home, of, system, limits, "nightly", now)


def test_a_plan_within_the_policy_is_approved_and_says_on_what_grounds(home: Home) -> None:
    signed = sign_policy(home, policy(), "operator")
    approval = under(home)
    assert approval.grant.basis == "policy"
    assert approval.grant.policy_digest == digest(signed.mandate)
    assert (approval.key, approval.grant.approver) == ("nightly", "operator")
    ask(home, approval)
    assert policy_file(home, "nightly").with_suffix(".pem").stat().st_mode & 0o777 == 0o600


def test_the_operators_key_is_not_needed_any_more(home: Home) -> None:
    sign_policy(home, policy(), "operator")
    key_file(home, "operator").unlink()
    ask(home, under(home))


@pytest.mark.parametrize(
    ("of", "more", "rule"),
    [
        (plan(TEN, slow("s1", "s2")), {}, "policy nightly (allowed faults)"),
        (plan(TEN, hang("s1", duration_s=31)), {}, "policy nightly (fault duration)"),
        (plan(TEN, [experiment(hang("s1")), experiment(hang("s2"))]), {}, "policy nightly (blast radius)"),
        (PLAN, {"run_s_max": 5}, "policy nightly (run length)"),
        (plan(TEN, act(Overload(rate_rps=9, method="POST"), InstanceTarget(service="s1"), "a")), {}, "policy nightly"),
        (PLAN, {"systems": ("other",)}, "policy nightly"),
        (PLAN, {"environments": ("staging",)}, "policy nightly (environment)"),
        (PLAN, {"valid_until": NOW}, "policy nightly"),
    ],
)
def test_a_plan_outside_is_neither_approved_nor_verified(home: Home, of: Plan, more: dict[str, Any], rule: str) -> None:
    sign_policy(home, policy(**more), "operator")
    with pytest.raises(SafetyRefusalError) as caught:
        under(home, of=of)
    assert caught.value.rule == rule
    forged = _forged(home, of, WIDE)
    with pytest.raises(SafetyRefusalError) as caught:
        ask(home, forged, of=of)
    assert caught.value.rule == rule


def _forged(home: Home, of: Plan, limits: Limits, valid_s: float = 60) -> Approval:
    """What somebody who stole the policy's own key could sign."""
    mandate = read_policy(home, "nightly").mandate
    given = {"approver": "operator", "basis": "policy", "valid_s": valid_s, "now": NOW}
    grant = make_grant(of, limits, **given, installation=installation_of(home), policy_digest=digest(mandate))
    return Approval(grant=grant, key="nightly", signature=sign(policy_file(home, "nightly").with_suffix(".pem"), grant))


def test_the_policys_own_key_cannot_stand_for_a_person(home: Home) -> None:
    sign_policy(home, policy(), "operator")
    given = {"approver": "nightly", "basis": "person", "valid_s": 60, "now": NOW}
    grant = make_grant(PLAN, WIDE, **given, installation=installation_of(home))
    key = policy_file(home, "nightly").with_suffix(".pem")
    with pytest.raises(SafetyRefusalError, match="nobody here trusts the key nightly"):
        ask(home, Approval(grant=grant, key="nightly", signature=sign(key, grant)))


def test_a_policy_cannot_exceed_the_operators_limits(home: Home) -> None:
    sign_policy(home, policy(allowed_faults=("*",), fault_s_max=600), "operator")
    with pytest.raises(SafetyRefusalError, match="fault duration"):
        under(home, of=plan(TEN, hang("s1", duration_s=61)))
    with pytest.raises(SafetyRefusalError, match="protected services"):
        under(home, limits=Limits(protected_services=("s1",)))


def test_production_only_where_the_policy_names_it(home: Home) -> None:
    prod = chain(environment=PRODUCTION)
    conditions = (AbortCondition(check=CHECK.id, availability_below=0.5),)
    of = plan(prod, experiment(hang("s1"), abort_conditions=conditions))
    limits = Limits(environments=(PRODUCTION,))
    sign_policy(home, policy(), "operator")
    with pytest.raises(SafetyRefusalError, match=r"policy nightly \(environment\): the plan is for production"):
        under(home, of=of, system=prod, limits=limits)
    sign_policy(home, policy(environments=(PRODUCTION,)), "operator")
    ask(home, under(home, of=of, system=prod, limits=limits), of=of, system=prod, limits=limits)
    own = Plan(**{**dict(of), "proposer": "Operator"})
    with pytest.raises(SafetyRefusalError, match="four eyes"):
        under(home, of=own, system=prod, limits=limits)


def test_ending_or_replacing_a_policy_ends_its_approvals(home: Home) -> None:
    sign_policy(home, policy(), "operator")
    approval = under(home)
    sign_policy(home, policy(), "operator")
    with pytest.raises(SafetyRefusalError, match="made under another version"):
        ask(home, approval)
    approval = under(home)
    policy_file(home, "nightly").unlink()
    with pytest.raises(SafetyRefusalError, match="there is no such policy"):
        ask(home, approval)


def test_an_older_policy_put_back_does_not_count(home: Home) -> None:
    """Though an operator did sign it, once."""
    path = policy_file(home, "nightly")
    sign_policy(home, policy(fault_s_max=60), "operator")
    older = {file: file.read_bytes() for file in (path, path.with_suffix(".pem"))}
    approval = under(home)
    sign_policy(home, policy(fault_s_max=5), "operator")
    for file, content in older.items():
        file.write_bytes(content)
    for again in (lambda: under(home), lambda: ask(home, approval)):
        with pytest.raises(SafetyRefusalError, match="its file is not the one that was signed last"):
            again()


def test_a_policy_that_no_row_vouches_for_still_needs_its_signature(home: Home) -> None:
    """As one signed before there were such rows."""
    sign_policy(home, policy(), "operator")
    path = policy_file(home, "nightly")
    for file in home.path.glob("journal.db*"):
        file.unlink()
    with pytest.raises(SafetyRefusalError, match=r"policy nightly \(trusted keys\)"):
        under(home)
    accept_list(home)
    ask(home, under(home))
    path.write_bytes(path.read_bytes().replace(b'"service.*"', b'"network.*"'))
    with pytest.raises(SafetyRefusalError, match="its signature by operator does not count here"):
        under(home)


def test_a_policy_stands_with_the_trust_in_its_signer(home: Home) -> None:
    sign_policy(home, policy(), "operator")
    approval = under(home)
    limits = Limits(approvers=("somebody-else",))
    with pytest.raises(SafetyRefusalError, match="operator signed it"):
        under(home, limits=limits)
    revoke_key(home, "operator", "left the company")
    with pytest.raises(SafetyRefusalError, match=r"policy nightly \(revoked keys\).*left the company"):
        ask(home, approval)
    with pytest.raises(SafetyRefusalError, match=r"policy nightly \(revoked keys\)"):
        under(home)


def test_an_approval_ends_with_its_policy(home: Home) -> None:
    sign_policy(home, policy(valid_until=NOW + timedelta(minutes=10)), "operator")
    assert under(home).grant.valid_until == NOW + timedelta(minutes=10)


def test_an_approval_that_would_outlive_its_policy_is_refused(home: Home) -> None:
    sign_policy(home, policy(valid_until=NOW + timedelta(minutes=10)), "operator")
    ask(home, _forged(home, PLAN, WIDE, valid_s=600))
    with pytest.raises(SafetyRefusalError, match="the approval outlives it"):
        ask(home, _forged(home, PLAN, WIDE, valid_s=601))


def test_a_policy_counts_under_its_own_name_only(home: Home) -> None:
    sign_policy(home, policy(name="lenient"), "operator")
    for suffix in (".json", ".pem"):
        policy_file(home, "lenient").with_suffix(suffix).rename(policy_file(home, "nightly").with_suffix(suffix))
    with pytest.raises(SafetyRefusalError, match="its file holds the policy lenient"):
        under(home)


def test_a_system_that_changed_meanwhile_is_refused(home: Home) -> None:
    sign_policy(home, policy(), "operator")
    with pytest.raises(SafetyRefusalError, match="system drift"):
        under(home, system=chain(11))


def _means(raw: bytes) -> SignedPolicy | None:
    try:
        return SignedPolicy.model_validate_json(raw)
    except ValidationError:
        return None


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_flipped_bit_of_a_policy_ends_it(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    home = Home.open(tmp_path_factory.getbasetemp() / "flipped")
    if not key_file(home, "operator").exists():
        create_key(home, "operator")
        sign_policy(home, policy(), "operator")
    path = policy_file(home, "nightly")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        if _means(bytes(flipped)) == _means(whole):
            return  # white space, or another spelling of the same time
        path.write_bytes(flipped)
        with pytest.raises(SafetyRefusalError, match="policy nightly"):
            under(home)
    finally:
        path.write_bytes(whole)


def test_another_private_key_under_the_operators_name_signs_nothing(home: Home, tmp_path: Path) -> None:
    other = Home.open(tmp_path / "other")
    create_key(other, "operator")
    sign_policy(home, policy(), "operator")
    approval = under(home)
    key_file(other, "operator").replace(key_file(home, "operator"))
    with pytest.raises(InputError, match="the private key here is not the one that is trusted"):
        sign_policy(home, policy(), "operator")
    ask(home, approval)  # the policy in force kept its delegate


def test_there_is_nothing_to_sign_without_an_operator_or_an_end(home: Home) -> None:
    with pytest.raises(InputError, match="there is no such key"):
        sign_policy(home, policy(), "nobody")
    with pytest.raises(InputError, match="names no time zone"):
        sign_policy(home, policy(valid_until=datetime(2026, 6, 1)), "operator")
    with pytest.raises(SafetyRefusalError, match="there is no such policy"):
        under(home)
