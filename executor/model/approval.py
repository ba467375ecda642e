"""An approval: a signature by a person's key, or under a policy the operator signed, over exactly one plan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from executor.model.base import Contract, Digest, Line, Name
from executor.model.vocabulary import Environment

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""128 bits."""


class Grant(Contract):
    """What is signed: nothing outside it is approved."""

    format: Literal["murphy.grant/2"] = "murphy.grant/2"
    nonce: Hex
    """Makes the approval unique; each of its uses is consumed once."""
    installation: Hex
    """Where it counts: one state directory on one machine, and no copy of it."""
    uses: Annotated[int, Field(ge=1, le=1000)] = 1
    """Runs that it is good for, each under a name of its own."""
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
