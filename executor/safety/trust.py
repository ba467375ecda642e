"""Whose signatures count: public keys only. Nothing here can sign."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, TypeAdapter, ValidationError

from executor.errors import InputError, SafetyRefusalError
from executor.home import Home
from executor.model.base import Contract, Line, Name
from executor.model.digest import canonical


class Trusted(Contract):
    """A public key that is accepted here, and how it came to be."""

    public: Line
    """Ed25519, 32 bytes in base64."""
    by: Line
    """Who said so."""
    at: Line
    """When, in UTC."""


TRUSTED = TypeAdapter(dict[Name, Trusted])


def trusted_keys(home: Home) -> dict[str, str]:
    """Public keys in base64, by name. Raises ``SafetyRefusalError`` for a list that others can write or is damaged."""
    return {name: entry.public for name, entry in read_trusted(home).items()}


def read_trusted(home: Home) -> dict[str, Trusted]:
    """The whole list; see ``trusted_keys``."""
    path = trusted_file(home)
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})") from error
    if mode & 0o022:
        raise _unusable(path, f"its mode is {mode:04o}, so others can add keys")
    try:
        return TRUSTED.validate_json(text)
    except ValidationError as error:
        raise _unusable(path, "it is damaged") from error


def trusted_file(home: Home) -> Path:
    """Where the list is."""
    return home.keys / "trusted.json"


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
    return SafetyRefusalError(
        "trusted keys",
        measured=f"of {path}, {measured}",
        limit="a whole list that only its owner can write",
        hint="Restore it or remove it, and trust the keys again.",
    )
