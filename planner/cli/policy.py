"""``murphy policy``: what an operator has signed that may be approved without asking a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError
from planner.cli.options import Json

if TYPE_CHECKING:
    from executor.safety.mandate import Policy

NameOf = Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    policy = typer.Typer(help="What may be approved without asking a person.", no_args_is_help=True)
    policy.command()(sign)
    policy.command("list")(listed)
    policy.command()(show)
    policy.command()(revoke)
    app.add_typer(policy, name="policy")


def sign(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The policy, in TOML.")],
    key: Annotated[str, typer.Option(help="The operator whose key signs.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Sign a policy as an operator and put it into force, in place of an older one of its name.

    FILE has name, systems, environments, allowed_faults, valid_until, and what else narrows the limits: blast_radius,
    fault_s_max, run_s_max, approval_s_max.
    """
    from executor.safety.policy import sign_policy
    from executor.state.home import Home
    from planner import files
    from planner.cli.consent import refuse_unattended
    from planner.cli.output import say

    refuse_unattended(instead="--yes", given=yes)
    home, policy = Home.open(), files.load_policy(path)
    _tell(policy)
    if not yes and not typer.confirm(f"Sign this policy as {key}?"):
        say("Not signed.")
        return 3
    sign_policy(home, policy, key)
    say(f"Signed by {key}. Plans within {policy.name} are approved without asking, until it ends or is revoked.")
    return 0


def listed(as_json: Json = False) -> None:
    """List the policies that were signed here, and whether they are in force."""
    from executor.clock import SYSTEM_CLOCK
    from executor.safety.mandate import standing
    from executor.state.home import Home
    from planner.cli.output import emit, say

    rows = standing(Home.open(), SYSTEM_CLOCK.now())
    if as_json:
        emit([vars(row) for row in rows])
        return
    for row in rows:
        say(f"{row.name}: {'in force' if row.why_not is None else row.why_not}")
    if not rows:
        say("No policy was signed here yet: murphy policy sign FILE --key NAME.")


def show(name: NameOf, as_json: Json = False) -> None:
    """Say what a policy that is in force allows, and who signed it."""
    from executor.safety.mandate import read_policy
    from executor.state.home import Home
    from planner.cli.output import emit, say

    signed = read_policy(Home.open(), name)
    if as_json:
        emit(signed)
        return
    _tell(signed.mandate.policy)
    say(f"Signed by {signed.key}.")


def revoke(name: NameOf, reason: Annotated[str, typer.Option(help="Why; it is kept in the audit trail.")]) -> None:
    """End a policy, and every approval that was given under it."""
    from executor.safety.policy import revoke_policy
    from executor.state.home import Home
    from planner.cli.output import say

    if not reason.strip():
        raise InputError("says nothing.", where="--reason", hint="Say why the policy is revoked.")
    revoke_policy(Home.open(), name, reason.strip()[:400])
    say(f"Revoked {name}. No approval under it counts any more.")


def _tell(policy: Policy) -> None:
    from planner.cli.output import say

    radius = policy.blast_radius
    say(f"Policy {policy.name}, for {', '.join(policy.systems)} in {', '.join(policy.environments)}:")
    say(f"  faults {', '.join(policy.allowed_faults)}, none over {policy.fault_s_max:g} s")
    say(f"  runs of at most {policy.run_s_max:g} s")
    say(
        f"  blast radius {radius.instances_percent:g} % of instances, {radius.services_percent:g} % of services, "
        f"{radius.traffic_percent:g} % of what users do"
    )
    say(f"  each approval for {policy.approval_s_max:g} s; until {policy.valid_until:%Y-%m-%d %H:%M %Z}")
