"""``murphy approve``: a person reads a plan and signs its digest, together with the limits' digest and a time span."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError, SafetyRefusalError

if TYPE_CHECKING:
    from executor.home import Home
    from executor.model.plan import Plan
    from executor.safety.limits import Limits


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Show what will happen, and sign it.")(approve)


def approve(
    path: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan's file.")] = Path("plan.json"),
    key: Annotated[str | None, typer.Option(help="Whose key signs; murphy keys lists them.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needs --key.")] = False,
    limits: Annotated[Path | None, typer.Option(help="The operator's limits; default: limits.toml.")] = None,
    valid: Annotated[float, typer.Option(min=1, help="Seconds for which the approval holds.")] = 3600,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: beside the plan.")
    ] = None,
) -> int:
    """Show what will happen and what limits hold, and sign it. The signature is good for this very plan, once."""
    from executor.clock import SYSTEM_CLOCK
    from executor.home import Home
    from executor.safety.approval import installation_of, make_grant
    from executor.safety.limits import load_limits
    from executor.safety.signing import sign_grant
    from planner import files
    from planner.cli.output import out

    if not sys.stdin.isatty() and not (yes and key):
        raise SafetyRefusalError(
            "person at the terminal",
            measured="there is no terminal to ask a person on",
            limit="a person's yes, or --key and --yes",
            hint="Run it in a terminal, or give both options.",
        )
    home, plan, allowed = Home.open(), files.load_plan(path), load_limits(limits)
    name = key or _own_key(home)
    _show(plan, allowed)
    if not yes and not typer.confirm(f"Sign this plan as {name}?"):
        out.print("Not signed.")
        return 3
    grant = make_grant(
        plan,
        allowed,
        approver=name,
        basis="person",
        valid_s=valid,
        now=SYSTEM_CLOCK.now(),
        installation=installation_of(home),
    )
    target = output or files.approval_path(path)
    files.save(sign_grant(home, name, grant), target)
    out.print(f"Signed by {name}, good until {grant.valid_until:%H:%M UTC}. Next: [head]murphy run {path}[/head]")
    return 0


def _own_key(home: Home) -> str:
    """The only key there is; a first one, named after the user, is made if there is none."""
    from executor.person import whoami
    from executor.safety.signing import create_key
    from executor.safety.trust import trusted_keys
    from planner.cli.output import out

    known = sorted(trusted_keys(home))
    if len(known) > 1:
        raise InputError(f"there are several keys: {', '.join(known)}.", where="approve", hint="Choose one with --key.")
    if known:
        return known[0]
    name = re.sub(r"[^a-z0-9._-]", "-", whoami().lower()).strip("-._") or "operator"
    create_key(home, name)
    out.print(f"Made your signing key, {name}, in {home.keys}.")
    return name


def _show(plan: Plan, limits: Limits) -> None:
    from planner.cli import plan_view
    from planner.cli.output import out

    plan_view.show(plan)
    radius = limits.blast_radius
    out.print(
        f"Limits: blast radius {radius.instances_percent:g} % of instances, {radius.services_percent:g} % of services; "
        f"no fault over {limits.fault_s_max:g} s, lease {limits.lease_s:g} s, "
        f"protected: {', '.join(limits.protected_services) or 'what the system says'}."
    )
