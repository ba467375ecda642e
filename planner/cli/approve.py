"""``murphy approve``: a person reads a plan and signs its digest, together with the limits' digest and a time span."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError
from planner.cli.options import LimitsFile

if TYPE_CHECKING:
    from executor.model.plan import Plan
    from executor.model.system import System
    from executor.safety.limits import Limits
    from executor.state.home import Home

_INSTALLATION = re.compile(r"[0-9a-f]{32}")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Show what will happen, and sign it.")(approve)


def approve(
    path: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan's file.")] = Path("plan.json"),
    key: Annotated[str | None, typer.Option(help="Whose key signs; murphy keys lists them.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needs --key.")] = False,
    system: Annotated[Path, typer.Option("--system", help="The system, if no session here knows the plan.")] = Path(
        "system.yaml"
    ),
    limits: LimitsFile = None,
    valid: Annotated[float, typer.Option(min=1, help="Seconds for which the approval holds.")] = 3600,
    uses: Annotated[int, typer.Option(min=1, max=1000, help="Runs that it is good for.")] = 1,
    other: Annotated[
        str | None, typer.Option("--for", metavar="ID", help="Another installation, that is to run it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: beside the plan.")
    ] = None,
) -> int:
    """Show what will happen and what limits hold, and sign it. The signature is good for this very plan, here, once."""
    from executor.clock import SYSTEM_CLOCK
    from executor.person import whoami
    from executor.safety.approval import installation_of, make_grant, verify, write_down
    from executor.safety.limits import in_force, load_limits
    from executor.safety.pem import key_file, public_half
    from executor.safety.signing import sign_grant
    from executor.state.home import Home
    from planner import files
    from planner.cli.consent import refuse_unattended
    from planner.cli.output import out

    refuse_unattended(
        instead="--yes and --key",
        given=bool(yes and key),
        hint="Nobody to ask: murphy keys create NAME, then murphy approve --yes --key NAME.",
    )
    if other is not None and not _INSTALLATION.fullmatch(other):
        raise InputError("is not an installation.", where=f"--for {other}", hint="murphy keys list shows it, there.")
    home, plan, allowed = Home.open(), files.load_plan(path), load_limits(limits)
    if key is not None:
        public_half(key_file(home, key))  # an unknown one is refused before the whole plan is shown
    known, planned = _systems(home, plan, system)
    if known is not None:
        _refuse(plan, known, allowed, planned)
    here, now = installation_of(home), SYSTEM_CLOCK.now()
    name = key or _own_key(home)
    grant = make_grant(
        plan,
        allowed,
        approver=name,
        basis="person",
        valid_s=valid,
        now=now,
        installation=other or here,
        uses=uses,
    )
    out.print(f"Limits in force: {in_force(limits)}.", soft_wrap=True)
    _show(plan, known, allowed, f"{uses} run{'s' * (uses > 1)} on {other or 'this installation'}")
    if not yes and not typer.confirm(f"Sign this plan as {name}?"):
        out.print("Not signed.")
        return 3
    approval = sign_grant(home, name, grant)
    if grant.installation == here:
        verify(approval, plan, allowed, home, now, installation=here, system=known)
    write_down(home, approval, who=whoami())
    files.save(approval, output or files.approval_path(path))
    out.print(f"Signed by {name}, good until {grant.valid_until:%H:%M UTC}. Next: [head]murphy run {path}[/head]")
    return 0


def _systems(home: Home, plan: Plan, path: Path) -> tuple[System | None, System | None]:
    """The system that the plan is for, as the file or its session knows it, and as it was planned for.

    Either is ``None`` where nobody knows it.
    """
    from knowledge.topology.annotations import load_system
    from planner.session import Session

    session = Session.find(home, plan)
    planned = session.system if session else None
    if not path.exists():
        return planned, planned
    found = load_system(path)
    return found if found.name == plan.system_name or planned is None else planned, planned


def _refuse(plan: Plan, system: System, limits: Limits, planned: System | None) -> None:
    """Say no now to what a run would be refused for whatever happens until then."""
    from executor.safety.drift import refuse_drift
    from executor.safety.rules import refusals

    for refusal in refusals(plan, system, limits):
        raise refusal
    refuse_drift(plan, system, planned)


def _own_key(home: Home) -> str:
    """The only key that counts; a first one, named after the user, is made if there is none."""
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


def _show(plan: Plan, system: System | None, limits: Limits, good_for: str) -> None:
    from planner.cli import plan_view, struck_view
    from planner.cli.output import out

    plan_view.show(plan)
    if system is None:
        out.print("The system is not at hand: its rules are asked when the plan is run.", style="inconclusive")
    else:
        struck_view.show(plan, system)
    radius, budget = limits.blast_radius, limits.error_budget
    if budget.source:
        asked = f"{budget.source} ({budget.query})" if budget.query else budget.source
        out.print(f"Error budget: at least {budget.floor * 100:g} % left, says {asked}.", markup=False, soft_wrap=True)
    out.print(
        f"Limits: blast radius {radius.instances_percent:g} % of instances, {radius.services_percent:g} % of services, "
        f"{radius.traffic_percent:g} % of what users do, though always one instance or edge; "
        f"no fault over {limits.fault_s_max:g} s, lease {limits.lease_s:g} s, "
        f"protected: {', '.join(limits.protected_services) or 'what the system says'}. Good for {good_for}."
    )
