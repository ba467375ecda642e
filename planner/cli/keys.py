"""``murphy keys``: the keys that approvals are signed with."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    keys = typer.Typer(help="The keys that approvals are signed with.", no_args_is_help=True)
    keys.command()(create)
    keys.command("list")(listed)
    app.add_typer(keys, name="keys")


def create(name: Annotated[str, typer.Argument(help="Whose key it is.")]) -> None:
    """Make a signing key for a person and trust it on this machine."""
    from executor.home import Home
    from executor.safety.signing import create_key
    from planner.cli.output import say

    home = Home.open()
    create_key(home, name)
    say(f"Made the key {name} in {home.keys}; approvals signed with it are accepted here.")


def listed(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the trusted keys."""
    from executor.home import Home
    from executor.safety.trust import trusted_keys
    from planner.cli.output import emit, say

    trusted = sorted(trusted_keys(Home.open()))
    if as_json:
        emit(trusted)
    else:
        say("\n".join(trusted) or "No key is trusted yet: murphy keys create NAME.")
