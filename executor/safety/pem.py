"""Private keys in their files: the only code that can make a signature.

Only the commands of a person may import this; an import contract keeps experts, planner nodes and the engine out.
"""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel

from executor.errors import InputError, SafetyRefusalError, UnavailableError
from executor.model.digest import canonical
from executor.safety.anchored import write_private
from executor.safety.trust import encoded
from executor.state.home import Home
from executor.state.reading import read

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def key_file(home: Home, name: str) -> Path:
    """Where a key's private part is. Raises ``InputError`` for what cannot be a name."""
    if not _NAME.fullmatch(name):
        hint = "Use lower case letters, digits, dots, dashes and underscores."
        raise InputError("cannot be the name of a key.", where=repr(name), hint=hint)
    return home.keys / f"{name}.pem"


def sign(path: Path, value: BaseModel) -> str:
    """The signature (base64) of a private key's file over the canonical form of ``value``.

    Raises ``InputError`` if there is no such file, ``SafetyRefusalError`` if others can read it.
    """
    return encoded(_private(path).sign(canonical(value)))


def write_key(path: Path) -> str:
    """Write a new private key, in place of one that may be there, and return its public part in base64."""
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return _public(key)


def public_half(path: Path) -> str:
    """The public part (base64) of a private key's file. Raises as ``sign`` does."""
    return _public(_private(path))


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        mode = path.stat().st_mode & 0o777
        content = read(path)
    except FileNotFoundError:
        raise InputError("there is no such key.", where=path.stem, hint="murphy keys create makes one.") from None
    except OSError as error:
        raise UnavailableError(f"cannot be read: {error.strerror}.", where=str(path)) from error
    if mode & 0o077:
        raise SafetyRefusalError(
            "private key",
            measured=f"the mode of {path} is {mode:04o}",
            limit="0600: nobody else may read it",
            hint="If others may have seen it, make a new key; else chmod 600.",
        )
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("not a private key in PEM.", where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("not an Ed25519 key.", where=str(path))
    return key


def _public(key: Ed25519PrivateKey) -> str:
    return encoded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
