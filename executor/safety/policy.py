"""Signing a policy as an operator, and approving plans under it.

It reaches private keys, so an import contract keeps experts, planner nodes and the engine out.
"""

from __future__ import annotations

from datetime import datetime

from executor.errors import InputError, SafetyRefusalError
from executor.home import Home
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.safety.approval import make_grant, verify
from executor.safety.limits import Limits
from executor.safety.mandate import Mandate, SignedPolicy, policy_file, refuse_outside, signed_policy
from executor.safety.mandate import Policy as Policy  # what is written, beside what is done with it
from executor.safety.rules import refusals
from executor.safety.signing import key_file, sign, write_key, write_private


def sign_policy(home: Home, policy: Policy, key: str) -> SignedPolicy:
    """Sign a policy with an operator's key and put it into force here, in place of an older one of its name.

    Makes a key for this policy alone; approvals under the older one are worth nothing from then on. To end a policy,
    remove its files from ``keys/policies``. Raises ``InputError`` if there is no such key or no exact end.
    """
    if policy.valid_until.tzinfo is None:
        raise InputError("valid_until names no time zone.", where=f"policy {policy.name}")
    operator = key_file(home, key)
    path = policy_file(home, policy.name)
    sign(operator, policy)  # a key that cannot sign must not cost the old policy its delegate
    mandate = Mandate(policy=policy, delegate=write_key(path.with_suffix(".pem")))
    signed = SignedPolicy(mandate=mandate, key=key, signature=sign(operator, mandate))
    write_private(path, signed.model_dump_json(indent=2).encode())
    return signed


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
    signed = signed_policy(home, policy_name, limits)
    policy = signed.mandate.policy
    refuse_outside(policy, plan, system, limits, now)
    left_s = (policy.valid_until - now).total_seconds()
    grant = make_grant(
        plan,
        limits,
        approver=signed.key,
        basis="policy",
        valid_s=min(policy.approval_s_max, limits.approval_s_max, left_s),
        now=now,
        policy_digest=digest(signed.mandate),
    )
    delegate = policy_file(home, policy_name).with_suffix(".pem")
    approval = Approval(grant=grant, key=policy_name, signature=sign(delegate, grant))
    verify(approval, plan, limits, home, now, system=system)
    return approval
