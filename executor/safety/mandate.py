"""A policy that an operator wrote and signed: what may run without a person reading each plan. Nothing here can sign.

The chain: an operator's trusted key signs the policy together with the public half of a key made for this policy alone
(the *delegate*). The delegate signs approvals, and each is worth something only while the policy is there, its signer
is trusted, and the plan lies within it; ``executor.safety.approval.verify`` asks all that again before every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from executor.errors import SafetyRefusalError
from executor.model.base import Contract, Line, Name, Seconds
from executor.model.plan import Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.anchored import content_of, digest_of, latest
from executor.safety.limits import BlastRadius, Limits
from executor.safety.rules import refusals
from executor.safety.trust import Role, answering, signed_by
from executor.state.home import Home

CHANGES = ("policy_signed", "policy_revoked")
"""Rows of the audit trail about a policy; the first kind carries the digest of its file."""


class Policy(Contract):
    """What may be approved without asking a person. The operator's limits hold beside it; it can only be narrower."""

    format: Literal["murphy.policy/1"] = "murphy.policy/1"
    name: Name
    systems: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of the systems it is for."""
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (Environment.DEVELOPMENT,)
    """Where it holds; production only if it is named here."""
    allowed_faults: Annotated[tuple[Line, ...], Field(min_length=1)]
    """Globs over fault kinds."""
    blast_radius: BlastRadius = BlastRadius()
    fault_s_max: Annotated[Seconds, Field(gt=0)] = 30
    """Longest that one fault may last, seconds."""
    run_s_max: Annotated[Seconds, Field(gt=0)] = 1800
    """Longest that one run may take, seconds."""
    approval_s_max: Annotated[Seconds, Field(gt=0)] = 3600
    """Validity of each approval under it, seconds."""
    valid_until: datetime
    """When the policy itself ends, with time zone."""


class Mandate(Contract):
    """What the operator signs: the policy, and the key that may sign approvals under it."""

    format: Literal["murphy.mandate/1"] = "murphy.mandate/1"
    policy: Policy
    delegate: Line
    """Public key in base64."""


class SignedPolicy(Contract):
    """A mandate with the operator's Ed25519 signature (base64) over its canonical form, and that key's name."""

    mandate: Mandate
    key: Name
    signature: Line


def policy_file(home: Home, name: str) -> Path:
    """Where a signed policy is; its delegate's private key is beside it, as ``.pem``."""
    return home.keys / "policies" / f"{name}.json"


def signed_policy(home: Home, name: str, limits: Limits, *, environment: Environment, now: datetime) -> SignedPolicy:
    """The policy of that name, as signed by an operator whose key counts there at ``now`` (with time zone).

    Raises ``SafetyRefusalError`` if there is none, it was revoked or is damaged, or its signature does not count.
    """
    signed = read_policy(home, name)
    try:
        operator = answering(home, signed.key, Role.OPERATOR, environment, now)
    except SafetyRefusalError as refusal:
        raise _no(f"{name} ({refusal.rule})", refusal.measured, refusal.limit) from refusal
    if not signed_by(operator.public, signed.mandate, signed.signature):
        raise _no(
            name, f"its signature by {signed.key} does not count here", "a trusted key's signature over all of it"
        )
    if limits.approvers and signed.key not in limits.approvers:
        raise _no(name, f"{signed.key} signed it", f"a signature by {' or '.join(limits.approvers)}")
    return signed


def read_policy(home: Home, name: str) -> SignedPolicy:
    """The policy of that name, if it was not revoked; whose signature it bears is not looked at.

    Raises ``SafetyRefusalError`` if there is none, or its file is not as ``murphy policy sign`` left it.
    """
    try:
        content = content_of(policy_file(home, name))
        signed = None if content is None else SignedPolicy.model_validate_json(content)
    except (OSError, ValidationError) as error:
        raise _no(name, "its file cannot be read or is damaged", "a whole signed policy") from error
    last = latest(home, CHANGES, policy=name)
    if last is not None and last.what == "policy_revoked":
        measured = f"{last.who} revoked it on {last.at[:19]}Z ({last.detail.get('reason')})"
        raise _no(name, measured, "a policy that is in force")
    if signed is None:
        raise _no(name, "there is no such policy", "a policy that an operator has signed")
    if signed.mandate.policy.name != name:
        raise _no(name, f"its file holds the policy {signed.mandate.policy.name}", "each policy under its own name")
    if last is not None and last.detail.get("digest") != digest_of(content):
        raise _no(name, "its file is not the one that was signed last", "the policy as it was signed last")
    return signed


@dataclass(frozen=True)
class Standing:
    """A policy that was signed here at some time."""

    name: str
    why_not: str | None
    """Why it is not in force now; ``None`` if it is, for the environments that its signer's key counts in."""


def standing(home: Home, now: datetime) -> list[Standing]:
    """Every policy that was signed here, by name, and whether it is in force at ``now`` (with time zone)."""
    directory = policy_file(home, "x").parent
    return [Standing(path.stem, _why_not(home, path.stem, now)) for path in sorted(directory.glob("*.json"))]


def _why_not(home: Home, name: str, now: datetime) -> str | None:
    try:
        policy = read_policy(home, name).mandate.policy
        for environment in policy.environments:
            signed_policy(home, name, Limits(), environment=environment, now=now)
        _refuse_ended(policy, now)
    except SafetyRefusalError as refusal:
        return f"{refusal.measured}, and the limit is {refusal.limit}"
    return None


def refuse_outside(policy: Policy, plan: Plan, system: System, limits: Limits, now: datetime) -> None:
    """Raise ``SafetyRefusalError`` unless the plan lies within the policy, and the policy still holds."""
    _refuse_ended(policy, now)
    if plan.system_name not in policy.systems:
        raise _no(policy.name, f"the plan is for {plan.system_name}", f"a plan for {' or '.join(policy.systems)}")
    for action in plan.actions:
        if left := action.fault.leaves():
            raise _no(policy.name, f"{left} in action {action.id} is not undone", "faults that leave nothing behind")
    for refusal in refusals(plan, system, _as_limits(policy, limits)):
        raise _no(f"{policy.name} ({refusal.rule})", refusal.measured, refusal.limit)


def _refuse_ended(policy: Policy, now: datetime) -> None:
    if policy.valid_until.tzinfo is None:
        raise _no(policy.name, "its end names no time zone", "an exact time")
    if now >= policy.valid_until:
        raise _no(policy.name, f"it is {now:%Y-%m-%d %H:%M}", f"{policy.valid_until:%Y-%m-%d %H:%M}, when it ended")


def _as_limits(policy: Policy, limits: Limits) -> Limits:
    narrower = ("environments", "allowed_faults", "blast_radius", "fault_s_max", "run_s_max")
    return Limits(**{**dict(limits), **{name: getattr(policy, name) for name in narrower}})


def _no(policy: str, measured: str, limit: str) -> SafetyRefusalError:
    hint = "A person can approve the plan, or sign a policy that covers it."
    return SafetyRefusalError(f"policy {policy}", measured=measured, limit=limit, hint=hint)
