"""``murphy keys``: whose signatures count here, for what, where and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.errors import InputError
from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.safety.trust import Trusted

NameOf = Annotated[str, typer.Argument(metavar="NAME", help="The key's name: whose it is.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="approver (of plans) or operator (signs policies, changes this list); repeatable."),
]
Environments = Annotated[
    list[str] | None,
    typer.Option("--environment", help="Where it counts; production only if named. Default: the other two."),
]
Days = Annotated[float | None, typer.Option("--valid-days", min=0.01, max=36500, help="Days until it lapses.")]
By = Annotated[str | None, typer.Option(help="The operator whose key allows this, if several are here.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    keys = typer.Typer(help="Whose signatures count here, and for what.", no_args_is_help=True)
    keys.command()(create)
    keys.command("list")(listed)
    keys.command()(export)
    keys.command()(trust)
    keys.command()(revoke)
    keys.command()(accept)
    app.add_typer(keys, name="keys")


def create(
    name: NameOf, role: Roles = None, environment: Environments = None, valid_days: Days = None, by: By = None
) -> None:
    """Make a signing key for a person and trust it here. The first of a home is approver and operator."""
    from executor.safety.signing import create_key
    from executor.state.home import Home
    from planner.cli.output import say

    home = Home.open()
    create_key(home, name, **_terms(role, environment, valid_days), by=by)
    say(f"Made the key {name} in {home.keys}; approvals signed with it are accepted here.")


def listed(as_json: Json = False) -> None:
    """List the keys, the revoked ones too, and what this installation is called in approvals."""
    from executor.safety.approval import installation_of
    from executor.safety.trust import read_trusted
    from executor.state.home import Home
    from planner.cli.output import emit, say

    home = Home.open()
    known, here = read_trusted(home), installation_of(home)
    if as_json:
        keys = [
            {"name": name, "fingerprint": entry.fingerprint, **entry.model_dump(mode="json")}
            for name, entry in sorted(known.items())
        ]
        emit({"installation": here, "keys": keys})
        return
    _show(known)
    if not known:
        say("No key is trusted yet: murphy keys create NAME.")
    say(f"This installation: {here}")


def export(name: NameOf) -> None:
    """Print the public part of a key, which murphy keys trust takes on another machine."""
    from executor.safety.trust import read_trusted
    from executor.state.home import Home

    entry = read_trusted(Home.open()).get(name)
    if entry is None:
        raise InputError("there is no such key.", where=name, hint="murphy keys list shows them.")
    print(entry.public)  # noqa: T201 - for a program or a clipboard


def trust(
    name: NameOf,
    public: Annotated[str | None, typer.Argument(help="Its public part; left out to change a listed key.")] = None,
    role: Roles = None,
    environment: Environments = None,
    valid_days: Days = None,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="It counts until it is revoked.")] = False,
    by: By = None,
) -> None:
    """Accept a key made elsewhere, or change what a listed one may do. Compare fingerprints with its owner first."""
    from executor.safety.signing import trust_key
    from executor.safety.trust import read_trusted
    from executor.state.home import Home
    from planner.cli.output import say

    if no_expiry and valid_days is not None:
        raise InputError("says the opposite of --valid-days.", where="--no-expiry", hint="Give one of them.")
    home = Home.open()
    trust_key(home, name, public, **_terms(role, environment, valid_days), endless=no_expiry, by=by)
    entry = read_trusted(home)[name]
    say(f"{name} is {_and(entry.roles)} in {_and(entry.environments)}; fingerprint {entry.fingerprint}.")


def revoke(
    name: NameOf, reason: Annotated[str, typer.Option(help="Why; it is kept in the audit trail.")], by: By = None
) -> None:
    """End the trust in a key, for good: nothing that it signed counts from now on."""
    from executor.safety.signing import revoke_key
    from executor.state.home import Home
    from planner.cli.output import say

    if not reason.strip():
        raise InputError("says nothing.", where="--reason", hint="Say why the key is revoked.")
    revoke_key(Home.open(), name, reason.strip()[:400], by=by)
    say(f"Revoked {name}. No approval and no policy that it signed counts any more.")


def accept(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> int:
    """Take the list of keys as it stands in its file, after it was edited or restored by hand."""
    from executor.safety.signing import accept_list
    from executor.safety.trust import as_written
    from executor.state.home import Home
    from planner.cli.consent import refuse_unattended
    from planner.cli.output import say

    refuse_unattended(instead="--yes", given=yes)
    home = Home.open()
    _show(as_written(home)[0])
    if not yes and not typer.confirm("Trust exactly these keys?"):
        say("Left as it was.")
        return 3
    say(f"{len(accept_list(home))} keys are listed now.")
    return 0


def _terms(role: list[str] | None, environment: list[str] | None, valid_days: float | None) -> dict[str, Any]:
    from executor.clock import SYSTEM_CLOCK
    from executor.model.vocabulary import Environment
    from executor.safety.trust import Role

    until: datetime | None = SYSTEM_CLOCK.now() + timedelta(days=valid_days) if valid_days else None
    return {
        "roles": tuple(dict.fromkeys(_one_of(Role, "--role", word) for word in role or ())),
        "environments": tuple(dict.fromkeys(_one_of(Environment, "--environment", word) for word in environment or ())),
        "valid_until": until,
    }


def _one_of(kind: Any, option: str, word: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise InputError(f"{word!r} is not one.", where=option, hint=f"Choose {' or '.join(kind)}.") from None


def _show(known: dict[str, Trusted]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from planner.cli.output import out

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="head")
    for column in ("key", "roles", "counts in", "until", "fingerprint"):
        table.add_column(column, overflow="fold")
    for name, entry in sorted(known.items()):
        until = f"{entry.valid_until:%Y-%m-%d %H:%M UTC}" if entry.valid_until else ""
        if gone := entry.revoked:
            until = f"[breaks]revoked {escape(gone.at[:10])} by {escape(gone.by)}: {escape(gone.reason)}[/breaks]"
        table.add_row(name, ", ".join(entry.roles), ", ".join(entry.environments), until, entry.fingerprint)
    if known:
        out.print(table)


def _and(words: tuple[str, ...]) -> str:
    return " and ".join(words)
