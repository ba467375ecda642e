"""Private keys: the only code that can sign an approval or a policy, or add a key to those that count.

Only the commands of a person may import this; an import contract keeps experts, planner nodes and the engine out.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel

from executor.clock import wall
from executor.durable import write
from executor.errors import InputError, SafetyRefusalError, UnavailableError
from executor.home import Home
from executor.model.approval import Approval, Grant
from executor.model.digest import canonical
from executor.person import whoami
from executor.safety.trust import TRUSTED, Trusted, encoded, public_key, read_trusted, trusted_file

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def create_key(home: Home, name: str) -> str:
    """Make a person's signing key, trust it here, and return its public part in base64.

    The private part is a PEM file in ``home.keys``, mode 0600. Raises ``InputError`` if there is a key of that name.
    """
    path = key_file(home, name)
    if path.exists() or name in read_trusted(home):
        raise InputError("there is a key of that name already.", where=name, hint="Choose another name.")
    public = write_key(path)
    trust(home, name, public)
    return public


def trust(home: Home, name: str, public: str) -> None:
    """Accept signatures of somebody's public key (base64) under that name; durable on return.

    Raises ``InputError`` if the name means another key already, or the key has another name: one person, one key, or
    two names of one person could stand for four eyes.
    """
    key_file(home, name)
    public_key(public)
    with _locked(home.keys):
        known = read_trusted(home)
        if name in known and known[name].public != public:
            raise InputError("is another key's name already.", where=name, hint="Choose another name.")
        if others := [other for other, entry in known.items() if entry.public == public and other != name]:
            raise InputError(f"this key is trusted already, as {others[0]}.", where=name)
        if name not in known:
            entry = Trusted(public=public, by=whoami(), at=wall())
            write_private(trusted_file(home), TRUSTED.dump_json({**known, name: entry}, indent=2))


def sign_grant(home: Home, key: str, grant: Grant) -> Approval:
    """Sign a grant with a person's key. Raises ``InputError`` if there is no such key or it is not the approver's."""
    if grant.approver != key or grant.basis != "person":
        raise InputError(f"the grant is {grant.approver}'s to sign, by {grant.basis}.", where=key)
    return Approval(grant=grant, key=key, signature=sign(key_file(home, key), grant))


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
    return encoded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def write_private(path: Path, content: bytes) -> None:
    """Put a file in its place, whole and durable, mode 0600. Raises ``UnavailableError``, with the old one left."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write(path, content)
    except OSError as error:
        raise UnavailableError(f"cannot be written: {error.strerror}.", where=str(path)) from error


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
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
    except (ValueError, TypeError) as error:
        raise InputError("not a private key in PEM.", where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("not an Ed25519 key.", where=str(path))
    return key


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released when the handle is closed
        yield
    finally:
        os.close(handle)
