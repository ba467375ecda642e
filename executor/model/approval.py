"""An approval: a signature by a person's key, or under a policy the operator signed, over exactly one plan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import StringConstraints

from executor.model.base import Contract, Digest, Line, Name
from executor.model.vocabulary import Environment


class Grant(Contract):
    """What is signed: nothing outside it is approved."""

    format: Literal["murphy.grant/1"] = "murphy.grant/1"
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """Makes the approval unique; it is consumed once."""
    plan_digest: Digest
    limits_digest: Digest
    environment: Environment
    proposer: Line
    approver: Line
    basis: Literal["person", "policy"]
    """Whether a person read and signed this plan, or it fell under a policy that a person signed."""
    policy_digest: Digest | None = None
    valid_from: datetime
    valid_until: datetime


class Approval(Contract):
    """A grant with its Ed25519 signature (base64) over the grant's canonical form, and the key's name."""

    grant: Grant
    key: Name
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]
