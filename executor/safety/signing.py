"""Signing as a person, and changing whose signatures count.

Each change of the list needs an operator's private key here, and is a row of the audit trail. Where no operator's key
counts (a new home, or all are revoked or have lapsed), whoever owns the directory begins anew: nobody is ever locked
out of their own machine. Only the commands of a person may import this; an import contract keeps others out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from executor.clock import SYSTEM_CLOCK, wall
from executor.errors import InputError, SafetyRefusalError
from executor.model.approval import Approval, Grant
from executor.model.vocabulary import Environment
from executor.person import whoami
from executor.safety.anchored import keep
from executor.safety.pem import key_file, public_half, sign, write_key
from executor.safety.trust import (
    TRUSTED,
    Revocation,
    Role,
    Trusted,
    as_written,
    checked,
    locked,
    public_key,
    trusted_file,
)
from executor.state.home import Home

_FIRST = (Role.APPROVER, Role.OPERATOR)
Known = Mapping[str, Trusted]


def sign_grant(home: Home, key: str, grant: Grant) -> Approval:
    """Sign a grant with a person's key. Raises ``InputError`` if there is no such key or it is not the approver's."""
    if grant.approver != key or grant.basis != "person":
        raise InputError(f"the grant is {grant.approver}'s to sign, by {grant.basis}.", where=key)
    return Approval(grant=grant, key=key, signature=sign(key_file(home, key), grant))


def create_key(
    home: Home,
    name: str,
    *,
    roles: tuple[Role, ...] = (),
    environments: tuple[Environment, ...] = (),
    valid_until: datetime | None = None,
    by: str | None = None,
) -> str:
    """Make a person's signing key, trust it here, and return its public part in base64.

    Without ``roles`` it is an approver, and the first of a home an operator as well; without ``environments`` it is for
    development and staging. ``by`` names the operator; needed only where several operators' keys are here. The private
    part is a PEM file in ``home.keys``, mode 0600. Raises ``InputError`` if there is or was a key of that name,
    ``SafetyRefusalError`` without an operator's key; nothing was made then.
    """
    path = key_file(home, name)
    with locked(home):
        known = checked(home)
        if path.exists() or name in known:
            raise InputError("there is a key of that name already.", where=name, hint="Choose another name.")
        operator = _operator(home, known, by)
        public = write_key(path)
        try:
            entry = _entry(public, roles or (_FIRST if not known else _FIRST[:1]), environments, valid_until, whoami())
            _keep(home, known, name, entry, "key_created", operator)
        except BaseException:
            path.unlink()
            raise
    return public


def trust_key(
    home: Home,
    name: str,
    public: str | None = None,
    *,
    roles: tuple[Role, ...] = (),
    environments: tuple[Environment, ...] = (),
    valid_until: datetime | None = None,
    endless: bool = False,
    by: str | None = None,
) -> None:
    """Accept signatures of somebody's public key (base64) under that name, or change what a listed key may do.

    What is not given stays as it was; ``endless`` takes its end away. Raises ``InputError`` if the name means another
    key already, or the key has another name: one person, one key, or two names of one person could stand for four eyes.
    Raises ``SafetyRefusalError`` for a key that was revoked, and without an operator's key. Durable on return.
    """
    key_file(home, name)
    with locked(home):
        known = checked(home)
        old = known.get(name)
        if public is None:
            if old is None:
                raise InputError("there is no such key, and no public part was given.", where=name)
            public = old.public
        _refuse_other(known, name, public)
        operator = _operator(home, known, by)
        if old is None:
            _keep(
                home,
                known,
                name,
                _entry(public, roles or _FIRST[:1], environments, valid_until),
                "key_trusted",
                operator,
            )
            return
        given = {"roles": roles, "environments": environments, "valid_until": valid_until}
        changes: dict[str, object] = {key: value for key, value in given.items() if value}
        entry = Trusted(**{**dict(old), **changes, **({"valid_until": None} if endless else {})})
        if entry != old:
            _keep(home, known, name, entry, "key_changed", operator)


def revoke_key(home: Home, name: str, reason: str, *, by: str | None = None) -> None:
    """End the trust in a key, for good: nothing it signed counts from now on, approvals and policies, old or new.

    Its private part, if it is here, may revoke it too. Raises ``InputError`` for a key that is not listed,
    ``SafetyRefusalError`` without an operator's key. Durable on return.
    """
    with locked(home):
        known = checked(home)
        old = known.get(name)
        if old is None:
            raise InputError("there is no such key.", where=name, hint="murphy keys list shows the trusted ones.")
        if old.revoked is None:
            operator = name if by in (None, name) and _here(home, name, old) else _operator(home, known, by)
            gone = Revocation(by=whoami(), at=wall(), reason=reason)
            _keep(home, known, name, Trusted(**{**dict(old), "revoked": gone}), "key_revoked", operator, reason=reason)


def accept_list(home: Home) -> dict[str, Trusted]:
    """Take the list as it stands in its file, after a person has looked at it, and return it.

    The way out after an edit by hand, an older file put back, or a crash in the middle of a change.
    """
    with locked(home):
        known, _ = as_written(home)
        prints = {name: entry.fingerprint for name, entry in known.items() if entry.revoked is None}
        keep(home, trusted_file(home), TRUSTED.dump_json(known, indent=2), "keys_accepted", {"keys": prints})
        return known


def _refuse_other(known: Known, name: str, public: str) -> None:
    public_key(public)
    if name in known and known[name].public != public:
        raise InputError("is another key's name already.", where=name, hint="Choose another name.")
    if others := [other for other, entry in known.items() if entry.public == public and other != name]:
        raise InputError(f"this key is listed already, as {others[0]}.", where=name)
    if name in known and (gone := known[name].revoked):
        measured = f"{gone.by} revoked {name} on {gone.at[:19]}Z ({gone.reason})"
        hint = "Make a new key under another name."
        raise SafetyRefusalError("revoked keys", measured=measured, limit="no key that was ever revoked", hint=hint)


def _operator(home: Home, known: Known, by: str | None) -> str:
    """The operator whose private key is here and allows a change; empty while no operator's key counts."""
    now = SYSTEM_CLOCK.now()
    operators = {name: entry for name, entry in known.items() if entry.counts(Role.OPERATOR, now)}
    if not operators:
        if by:
            raise InputError("no operator's key counts here, so none is needed.", where=f"--by {by}")
        return ""
    here = [name for name in ([by] if by else sorted(operators)) if name in operators]
    here = [name for name in here if _here(home, name, operators[name])]
    if not here:
        why = f"{by} is no operator" if by and by not in operators else "no operator's private key is here"
        limit = f"the private key of {' or '.join(sorted(operators))}"
        hint = "Only an operator can change whose signatures count."
        raise SafetyRefusalError("operators", measured=why, limit=limit, hint=hint)
    if len(here) > 1:
        hint = "Choose one with --by."
        raise InputError(f"the keys of several operators are here: {', '.join(here)}.", where="keys", hint=hint)
    return here[0]


def _here(home: Home, name: str, entry: Trusted) -> bool:
    """Whether the private half of the listed key is here, and private."""
    path = key_file(home, name)
    return path.exists() and public_half(path) == entry.public


def _entry(
    public: str,
    roles: tuple[Role, ...],
    environments: tuple[Environment, ...],
    valid_until: datetime | None,
    holder: str = "",
) -> Trusted:
    usual = {"environments": environments} if environments else {}
    return Trusted(public=public, by=whoami(), at=wall(), holder=holder, roles=roles, valid_until=valid_until, **usual)


def _keep(home: Home, known: Known, name: str, entry: Trusted, act: str, operator: str, **detail: str) -> None:
    content = TRUSTED.dump_json({**known, name: entry}, indent=2)
    told = entry.model_dump(mode="json", include={"roles", "environments", "valid_until"})
    about = {"key": name, "fingerprint": entry.fingerprint, "operator": operator, **told, **detail}
    keep(home, trusted_file(home), content, act, about)
