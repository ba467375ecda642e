"""Making what is to be signed, and refusing every approval that does not cover exactly this plan, here and now."""

from __future__ import annotations

import secrets
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Literal

from executor.errors import SafetyRefusalError
from executor.model.approval import Approval, Grant
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.limits import Limits
from executor.safety.mandate import refuse_outside, signed_policy
from executor.safety.trust import Role, Trusted, answering, read_trusted, signed_by
from executor.state.home import Home
from executor.state.journal import Journal

_AGAIN = "Approve the plan again."


def make_grant(
    plan: Plan,
    limits: Limits,
    *,
    approver: str,
    basis: Literal["person", "policy"],
    valid_s: float,
    now: datetime,
    installation: str,
    uses: int = 1,
    policy_digest: str | None = None,
) -> Grant:
    """What is to be signed: this plan under these limits, for ``valid_s`` seconds from ``now`` (with time zone).

    It is for one ``installation`` (see ``installation_of``) and so many ``uses``; ``approver`` is the name of the key
    that answers for it. Raises ``SafetyRefusalError`` if it would be valid for longer, or for more uses, than the
    limits allow.
    """
    _refuse_length(valid_s, limits)
    grant = Grant(
        nonce=secrets.token_hex(16),
        installation=installation,
        uses=uses,
        plan_digest=digest(plan),
        limits_digest=digest(limits),
        environment=plan.environment,
        proposer=plan.proposer,
        approver=approver,
        basis=basis,
        policy_digest=policy_digest,
        valid_from=now.astimezone(UTC),
        valid_until=now.astimezone(UTC) + timedelta(seconds=valid_s),
    )
    _refuse_uses(grant, limits)
    return grant


def installation_of(home: Home) -> str:
    """What tells this home on this machine from every other. Raises ``UnavailableError`` if its journal is unusable."""
    with closing(Journal(home.journal)) as journal:
        return journal.installation


def verify(
    approval: Approval,
    plan: Plan,
    limits: Limits,
    home: Home,
    now: datetime,
    *,
    installation: str,
    system: System | None = None,
) -> None:
    """Raise ``SafetyRefusalError`` unless the approval covers this plan under these limits, ``now`` (with time zone).

    One that was made under a policy needs the ``system``, without which the policy's blast radius cannot be measured.
    ``installation`` is the one that is to run it. Whether the approval is used up is the journal's to say.
    """
    grant = approval.grant
    _refuse_other(grant, plan, limits)
    if grant.installation != installation:
        hint = f"Approve it here, or there for this one: murphy approve --for {installation}."
        raise _no("installation", f"this is {installation}", f"the one it was approved for, {grant.installation}", hint)
    _refuse_uses(grant, limits)
    _refuse_time(grant, limits, now)
    if grant.basis == "person":
        _refuse_signature(approval, limits, home, now)
        signer = approval.key
    else:
        signer = _refuse_policy(approval, plan, limits, home, now, system)
    if grant.approver != signer:
        raise _no("approver", f"the grant names {grant.approver}", f"{signer}, whose key answers for it", _AGAIN)
    if plan.environment is Environment.PRODUCTION:
        refuse_own(plan, signer, read_trusted(home)[signer])


def write_down(home: Home, approval: Approval, *, who: str) -> None:
    """Put a row about an approval that was given here into the audit trail. Raises ``UnavailableError``."""
    grant = approval.grant
    told = grant.model_dump(mode="json", exclude={"format", "plan_digest", "limits_digest"})
    with closing(Journal(home.journal)) as journal:
        journal.note(who, "approved", plan=grant.plan_digest, limits=grant.limits_digest, key=approval.key, **told)


def refuse_own(plan: Plan, name: str, key: Trusted) -> None:
    """Raise ``SafetyRefusalError`` if the plan's proposer holds that key too: by its name, or as its user here."""
    if plan.proposer.strip().casefold() in {name.casefold(), key.holder.strip().casefold()}:
        measured = f"{plan.proposer.strip()} proposed it and holds the key {name}"
        raise _no("four eyes", measured, "two persons in production", "Let somebody else approve it, with their key.")


def _refuse_other(grant: Grant, plan: Plan, limits: Limits) -> None:
    for rule, approved, actual, what in (
        ("approved plan", grant.plan_digest, digest(plan), "plan"),
        ("approved limits", grant.limits_digest, digest(limits), "limits"),
        ("approved environment", grant.environment, plan.environment, "environment"),
        ("approved proposer", grant.proposer, plan.proposer, "proposer"),
    ):
        if approved != actual:
            hint = f"The {what} changed since it was approved, or the approval is another's. {_AGAIN}"
            raise _no(rule, f"the {what} is {_short(actual)}", f"what was approved, {_short(approved)}", hint)


def _refuse_time(grant: Grant, limits: Limits, now: datetime) -> None:
    if grant.valid_from.tzinfo is None or grant.valid_until.tzinfo is None:
        raise _no("approval validity", "it names no time zone", "an exact time", _AGAIN)
    _refuse_length((grant.valid_until - grant.valid_from).total_seconds(), limits)
    if now < grant.valid_from:
        raise _no("approval validity", f"it is {_time(now)}", f"{_time(grant.valid_from)} at the earliest", "Wait.")
    if now >= grant.valid_until:
        raise _no("approval validity", f"it is {_time(now)}", f"{_time(grant.valid_until)}, when it lapsed", _AGAIN)


def _refuse_length(length_s: float, limits: Limits) -> None:
    if not 0 < length_s <= limits.approval_s_max:
        limit = f"{limits.approval_s_max:g} s (approval_s_max in limits.toml)"
        raise _no("approval validity", f"it would be valid for {length_s:g} s", limit, "Approve for a shorter time.")


def _refuse_uses(grant: Grant, limits: Limits) -> None:
    if grant.uses > limits.approval_uses_max:
        limit = f"{limits.approval_uses_max} (approval_uses_max in limits.toml)"
        raise _no("approval uses", f"it would be good for {grant.uses} runs", limit, "Approve for fewer runs.")


def _refuse_signature(approval: Approval, limits: Limits, home: Home, now: datetime) -> None:
    if approval.grant.policy_digest is not None:
        raise _no("approval basis", "a person's approval names a policy", "one or the other", _AGAIN)
    public = answering(home, approval.key, Role.APPROVER, approval.grant.environment, now).public
    if limits.approvers and approval.key not in limits.approvers:
        allowed = " or ".join(limits.approvers)
        raise _no("approvers", f"{approval.key} signed it", allowed, "Ask one of them; only the operator can add more.")
    if not signed_by(public, approval.grant, approval.signature):
        raise _no("signature", f"it is not {approval.key}'s over this approval", "an untouched approval", _AGAIN)


def _refuse_policy(
    approval: Approval, plan: Plan, limits: Limits, home: Home, now: datetime, system: System | None
) -> str:
    """The name of the key that stands behind the policy the approval was made under."""
    signed = signed_policy(home, approval.key, limits, environment=plan.environment, now=now)
    policy = signed.mandate.policy
    rule = f"policy {policy.name}"
    if approval.grant.policy_digest != digest(signed.mandate):
        raise _no(rule, "the approval was made under another version", "the policy as it is signed now", _AGAIN)
    if not signed_by(signed.mandate.delegate, approval.grant, approval.signature):
        raise _no("signature", f"it is not policy {policy.name}'s over this approval", "an untouched approval", _AGAIN)
    if system is None:
        raise _no(
            rule, "without the system its blast radius is not known", "a measured blast radius", "Name the system."
        )
    refuse_outside(policy, plan, system, limits, now)
    if approval.grant.valid_until > policy.valid_until:
        raise _no(rule, "the approval outlives it", _time(policy.valid_until), _AGAIN)
    return signed.key


def _short(value: str) -> str:
    return value[:19] if value.startswith("sha256:") else value


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")  # as signed: converting a forged date may overflow


def _no(rule: str, measured: str, limit: str, hint: str) -> SafetyRefusalError:
    return SafetyRefusalError(rule, measured=measured, limit=limit, hint=hint)
