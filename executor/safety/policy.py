"""Signing a policy as an operator, and approving plans under it.

It reaches private keys, so an import contract keeps experts, planner nodes and the engine out.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from executor.clock import SYSTEM_CLOCK
from executor.errors import InputError, SafetyRefusalError
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.person import whoami
from executor.safety.anchored import keep
from executor.safety.approval import installation_of, make_grant, verify, write_down
from executor.safety.limits import Limits
from executor.safety.mandate import Mandate, SignedPolicy, policy_file, read_policy, refuse_outside, signed_policy
from executor.safety.mandate import Policy as Policy  # what is written, beside what is done with it
from executor.safety.pem import key_file, sign, write_key
from executor.safety.rules import refusals
from executor.safety.trust import Role, answering, signed_by
from executor.state.home import Home
from executor.state.journal import Journal


def sign_policy(home: Home, policy: Policy, key: str) -> SignedPolicy:
    """Sign a policy with an operator's key and put it into force here, in place of an older one of its name.

    Makes a key for this policy alone; approvals under the older one are worth nothing from then on. Raises
    ``InputError`` if there is no such key here or no exact end, ``SafetyRefusalError`` for a key that is no operator's
    or not for all the policy's environments.
    """
    if policy.valid_until.tzinfo is None:
        raise InputError("valid_until names no time zone.", where=f"policy {policy.name}")
    operator, path = key_file(home, key), policy_file(home, policy.name)
    proof = sign(operator, policy)  # a key that cannot sign must not cost the old policy its delegate
    for environment in policy.environments:
        if not signed_by(answering(home, key, Role.OPERATOR, environment, SYSTEM_CLOCK.now()).public, policy, proof):
            raise InputError("the private key here is not the one that is trusted.", where=key)
    mandate = Mandate(policy=policy, delegate=write_key(path.with_suffix(".pem")))
    signed = SignedPolicy(mandate=mandate, key=key, signature=sign(operator, mandate))
    about = {"policy": policy.name, "key": key, "until": policy.valid_until.isoformat()}
    keep(home, path, signed.model_dump_json(indent=2).encode(), "policy_signed", about)
    return signed


def revoke_policy(home: Home, name: str, reason: str) -> None:
    """End a policy and every approval under it; an older copy of its file put back does not count either.

    Signing one of that name anew puts it into force again. Raises ``SafetyRefusalError`` if none is in force.
    """
    read_policy(home, name)
    with closing(Journal(home.journal)) as journal:
        journal.note(whoami(), "policy_revoked", policy=name, reason=reason)
    policy_file(home, name).with_suffix(".pem").unlink(missing_ok=True)


def approve_under(home: Home, plan: Plan, system: System, limits: Limits, policy_name: str, now: datetime) -> Approval:
    """Approve a plan that lies within a signed policy and the operator's limits, at ``now`` (with time zone).

    Raises ``SafetyRefusalError`` for any other plan, ``InputError`` for a target that the system does not have.
    """
    for refusal in refusals(plan, system, limits):
        raise refusal
    if plan.system_digest != digest(system):
        raise SafetyRefusalError(
            "system drift",
            measured="the system changed since it was planned for",
            limit="the very system that was planned for",
            hint="Plan again.",
        )
    signed = signed_policy(home, policy_name, limits, environment=plan.environment, now=now)
    policy = signed.mandate.policy
    refuse_outside(policy, plan, system, limits, now)
    left_s = (policy.valid_until - now).total_seconds()
    installation = installation_of(home)
    grant = make_grant(
        plan,
        limits,
        installation=installation,
        approver=signed.key,
        basis="policy",
        valid_s=min(policy.approval_s_max, limits.approval_s_max, left_s),
        now=now,
        policy_digest=digest(signed.mandate),
    )
    delegate = policy_file(home, policy_name).with_suffix(".pem")
    approval = Approval(grant=grant, key=policy_name, signature=sign(delegate, grant))
    verify(approval, plan, limits, home, now, installation=installation, system=system)
    write_down(home, approval, who=f"policy {policy_name}")
    return approval
