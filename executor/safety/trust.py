"""Whose signatures count, for what, where and until when: public keys only. Nothing here can sign.

The list is a file of mode 0600 in a directory of mode 0700, which keeps out every other user of the machine. Whoever
acts as its owner, or as root, could write it. For them, every change that ``murphy keys`` makes is a row of the audit
trail with the list's digest, and a list that does not match the newest such row, or that no row vouches for, counts for
nothing until a person has looked at it: so an edit, an older list put back, or a journal taken away is noticed. Who
rewrites list and trail together is noticed only by the hash of a row of the trail that was kept elsewhere (``murphy
audit verify --head``).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from executor.errors import InputError, SafetyRefusalError
from executor.model.base import Contract, Line, Name
from executor.model.digest import canonical
from executor.model.vocabulary import Environment
from executor.safety.anchored import content_of, digest_of, latest
from executor.state.home import Home

CHANGES = ("key_created", "key_trusted", "key_changed", "key_revoked", "keys_accepted")
"""Rows of the audit trail that each carry the digest of the whole list."""
_USUAL = (Environment.DEVELOPMENT, Environment.STAGING)


class Role(StrEnum):
    """What a key is trusted with."""

    APPROVER = "approver"
    """May sign approvals of plans."""
    OPERATOR = "operator"
    """May sign policies, and add, change and revoke keys."""


class Revocation(Contract):
    """Who ended the trust in a key, when (UTC) and why."""

    by: Line
    at: Line
    reason: Line


class Trusted(Contract):
    """A public key that is or was accepted here, what for, and how it came to be."""

    public: Line
    """Ed25519, 32 bytes in base64."""
    by: Line
    """Who said so."""
    at: Line
    """When, in UTC."""
    holder: Line = ""
    """The machine's user who holds it, where it was made here; empty for one from elsewhere."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)] = (Role.APPROVER, Role.OPERATOR)
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = _USUAL
    """Where its signatures count; production only if it is named."""
    valid_until: AwareDatetime | None = None
    """From when on they no longer do."""
    revoked: Revocation | None = None
    """Set once, for good: the entry stays, so that neither name nor key can come back unseen."""

    def counts(self, role: Role, now: datetime) -> bool:
        """Whether it may act in that role at that time (with time zone), in some environment."""
        return self.revoked is None and (self.valid_until is None or now < self.valid_until) and role in self.roles

    @property
    def fingerprint(self) -> str:
        """32 hex digits of the key's SHA-256, to be compared over another channel."""
        return hashlib.sha256(base64.b64decode(self.public)).hexdigest()[:32]


TRUSTED = TypeAdapter(dict[Name, Trusted])


def trusted_keys(home: Home) -> dict[str, str]:
    """Public keys in base64 by name, without the revoked ones. Raises as ``read_trusted`` does."""
    return {name: entry.public for name, entry in read_trusted(home).items() if entry.revoked is None}


def read_trusted(home: Home) -> dict[str, Trusted]:
    """The whole list, revoked keys too. Raises ``SafetyRefusalError`` for one that cannot be relied on."""
    with locked(home, shared=True):
        return checked(home)


def answering(home: Home, name: str, role: Role, environment: Environment, now: datetime) -> Trusted:
    """The key of that name, if it may act in that role, there, at ``now`` (with time zone).

    Raises ``SafetyRefusalError`` for any other, and for a list that cannot be relied on.
    """
    entry = read_trusted(home).get(name)
    if entry is None:
        raise _no("trusted keys", f"nobody here trusts the key {name}", "a trusted key", "murphy keys list shows them.")
    if gone := entry.revoked:
        measured = f"{gone.by} revoked {name} on {gone.at[:19]}Z ({gone.reason})"
        raise _no("revoked keys", measured, "a key that was never revoked", "Have another key sign.")
    if entry.valid_until is not None and now >= entry.valid_until:
        until = entry.valid_until.isoformat(sep=" ", timespec="seconds")
        hint = f"An operator can extend it: murphy keys trust {name} --valid-days N (or --no-expiry)."
        raise _no("key validity", f"{name} is looked at on {now:%Y-%m-%d %H:%M:%S}", f"{until}, when it lapsed", hint)
    if role not in entry.roles:
        hint = f"An operator can make it one: murphy keys trust {name} --role {role}."
        raise _no("key role", f"{name} is {' and '.join(entry.roles)}", f"a key that is {role}", hint)
    if environment not in entry.environments:
        hint = f"An operator says where it counts: murphy keys trust {name} --environment …."
        measured = f"{name} counts in {' and '.join(entry.environments)}"
        raise _no("key environment", measured, f"a key for {environment}", hint)
    return entry


def trusted_file(home: Home) -> Path:
    """Where the list is."""
    return home.keys / "trusted.json"


@contextmanager
def locked(home: Home, *, shared: bool = False) -> Iterator[None]:
    """Keep the list as it is meanwhile: against its writers, or against everybody else who looks."""
    handle = os.open(home.keys, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)  # released when the handle is closed
        yield
    finally:
        os.close(handle)


def checked(home: Home) -> dict[str, Trusted]:
    """What ``read_trusted`` gives, for whoever holds the lock. Without a row there can only be an empty list."""
    known, digest = as_written(home)
    last = latest(home, CHANGES)
    if last is None and known:
        raise _unusable(trusted_file(home), "no row of the audit trail vouches for it")
    if last is not None and last.detail.get("digest") != digest:
        raise _unusable(trusted_file(home), f"{last.who} left another list ({last.what}, {last.at[:19]}Z)")
    return known


def as_written(home: Home) -> tuple[dict[str, Trusted], str]:
    """What the file says, whether or not the trail vouches for it, and its digest."""
    path = trusted_file(home)
    try:
        content = content_of(path)
        mode = 0 if content is None else path.stat().st_mode & 0o777
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})") from error
    if mode & 0o022:
        raise _unusable(path, f"its mode is {mode:04o}, so others can add keys")
    try:
        return ({} if content is None else TRUSTED.validate_json(content)), digest_of(content)
    except ValidationError as error:
        raise _unusable(path, "it is damaged") from error


def public_key(text: str) -> Ed25519PublicKey:
    """The key of its base64 form. Raises ``InputError`` for anything else."""
    try:
        return Ed25519PublicKey.from_public_bytes(_exactly(text))
    except ValueError as error:
        raise InputError("not an Ed25519 public key in base64.", where=text[:60]) from error


def signed_by(public: str, value: BaseModel, signature: str) -> bool:
    """Whether ``signature`` (base64) over the canonical form of ``value`` was made with that key."""
    try:
        public_key(public).verify(_exactly(signature), canonical(value))
    except (InvalidSignature, InputError, ValueError):
        return False
    return True


def encoded(raw: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(raw).decode("ascii")


def _exactly(text: str) -> bytes:
    # The last letter before the padding carries unused bits: several spellings decode to the same bytes, one counts.
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if encoded(raw) != text:
        raise ValueError("not the canonical spelling")
    return raw


def _unusable(path: Path, measured: str) -> SafetyRefusalError:
    return _no(
        "trusted keys",
        f"of {path}, {measured}",
        "a whole list that only its owner can write, as murphy keys left it",
        "Restore it; or mend or remove it, look at what is left, and murphy keys accept takes it as it is.",
    )


def _no(rule: str, measured: str, limit: str, hint: str) -> SafetyRefusalError:
    return SafetyRefusalError(rule, measured=measured, limit=limit, hint=hint)
