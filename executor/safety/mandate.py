"""A policy that an operator wrote and signed: what may run without a person reading each plan. Nothing here can sign.

The chain: an operator's trusted key signs the policy together with the public half of a key made for this policy alone
(the *delegate*). The delegate signs approvals, and each is worth something only while the policy is there, its signer
is trusted, and the plan lies within it; ``executor.safety.approval.verify`` asks all that again before every run.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from executor.errors import SafetyRefusalError
from executor.home import Home
from executor.model.base import Contract, Line, Name, Seconds
from executor.model.plan import Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.limits import BlastRadius, Limits
from executor.safety.rules import refusals
from executor.safety.trust import signed_by, trusted_keys


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


def signed_policy(home: Home, name: str, limits: Limits) -> SignedPolicy:
    """The policy of that name, as signed by somebody who may.

    Raises ``SafetyRefusalError`` if there is none, it is damaged, or its signature does not count.
    """
    try:
        signed = SignedPolicy.model_validate_json(policy_file(home, name).read_bytes())
    except FileNotFoundError:
        raise _no(name, "there is no such policy", "a policy that an operator has signed") from None
    except (OSError, ValidationError) as error:
        raise _no(name, "its file cannot be read or is damaged", "a whole signed policy") from error
    public = trusted_keys(home).get(signed.key)
    if public is None or not signed_by(public, signed.mandate, signed.signature):
        raise _no(
            name, f"its signature by {signed.key} does not count here", "a trusted key's signature over all of it"
        )
    if limits.approvers and signed.key not in limits.approvers:
        raise _no(name, f"{signed.key} signed it", f"a signature by {' or '.join(limits.approvers)}")
    if signed.mandate.policy.name != name:
        raise _no(name, f"its file holds the policy {signed.mandate.policy.name}", "each policy under its own name")
    return signed


def refuse_outside(policy: Policy, plan: Plan, system: System, limits: Limits, now: datetime) -> None:
    """Raise ``SafetyRefusalError`` unless the plan lies within the policy, and the policy still holds."""
    if policy.valid_until.tzinfo is None:
        raise _no(policy.name, "its end names no time zone", "an exact time")
    if now >= policy.valid_until:
        raise _no(policy.name, f"it is {now:%Y-%m-%d %H:%M}", f"{policy.valid_until:%Y-%m-%d %H:%M}, when it ended")
    if plan.system_name not in policy.systems:
        raise _no(policy.name, f"the plan is for {plan.system_name}", f"a plan for {' or '.join(policy.systems)}")
    for refusal in refusals(plan, system, _as_limits(policy, limits)):
        raise _no(f"{policy.name} ({refusal.rule})", refusal.measured, refusal.limit)


def _as_limits(policy: Policy, limits: Limits) -> Limits:
    narrower = ("environments", "allowed_faults", "blast_radius", "fault_s_max", "run_s_max")
    return Limits(**{**dict(limits), **{name: getattr(policy, name) for name in narrower}})


def _no(policy: str, measured: str, limit: str) -> SafetyRefusalError:
    hint = "A person can approve the plan, or sign a policy that covers it."
    return SafetyRefusalError(f"policy {policy}", measured=measured, limit=limit, hint=hint)
