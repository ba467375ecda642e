"""``murphy cascade``: plan how far a service's failure spreads, and show how far it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError
from planner.cascade.scenario import Scenario
from planner.cli.options import Json, LimitsFile, PlanOutput
from planner.cli.plan import SystemFile

if TYPE_CHECKING:
    from executor.model.system import System
    from executor.state.home import Home


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Plan how far a service's failure spreads; or, with --of, say how far it did.")(cascade)


def cascade(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service that is to fail.")] = "",
    scenario: Annotated[Scenario, typer.Option(help="What is done; auto: what fits.")] = Scenario.AUTO,
    kill: Annotated[int | None, typer.Option(min=1, help="So many instances; default: all, or one of several.")] = None,
    trials: Annotated[int, typer.Option(min=1, max=100, help="Each experiment so often.")] = 3,
    system: SystemFile = Path("system.yaml"),
    limits: LimitsFile = None,
    output: PlanOutput = Path("plan.json"),
    of: Annotated[str | None, typer.Option(metavar="RUN", help="Plan nothing: show this run's cascades.")] = None,
    as_json: Json = False,
) -> None:
    """Plan how far the failure of SERVICE spreads, with what is expected of it; nothing is run.

    linear: the calls of one chain are slow, then it is gone. tree: the same for callers that branch. dependency: it is
    gone, then silent. redistribution: some instances are gone, and the others inherit their load. auto: the one that
    fits. After murphy approve and murphy run, murphy cascade --of RUN shows what was seen beside it.
    """
    from executor.state.home import Home
    from knowledge.topology.annotations import load_system
    from planner.possible import known_service

    if of is not None:
        if service:
            raise InputError("either a service is planned for, or a run is shown.", where="--of")
        _show(Home.open(), of, as_json=as_json)
        return
    if not service:
        raise InputError("nothing says which service is to fail.", hint="murphy cascade SERVICE plans for one.")
    found = load_system(system)
    known_service(found, service)
    _plan(found, service, scenario, kill, trials, limits, output, as_json=as_json)


def _plan(
    system: System,
    service: str,
    scenario: Scenario,
    kill: int | None,
    trials: int,
    limits: Path | None,
    output: Path,
    *,
    as_json: bool,
) -> None:
    from executor.person import whoami
    from executor.safety.limits import load_limits
    from executor.state.home import Home
    from planner import files

    home, allowed = Home.open(), load_limits(limits)

    # What takes seconds to load waits until there is something to plan for.
    from planner.cascade.observed import suspected
    from planner.cascade.plan import cascade_plan
    from planner.cascade.predict import foresee
    from planner.cli import cascade_view, plan_view
    from planner.cli.output import emit
    from planner.session import Session

    planned = cascade_plan(
        system, service, limits=allowed, proposer=whoami(), scenario=scenario, kill=kill, trials=trials
    )
    session = Session.adopt(home, planned.plan, system, limits=allowed)
    files.save(session.plan, output)
    foreseen = [(experiment, foresee(experiment, system)) for experiment in session.plan.experiments]
    points = suspected(home, system)
    if as_json:
        emit(cascade_view.planned_json(planned, foreseen, points))
        return
    cascade_view.planned(planned, foreseen, points, output)
    plan_view.written(output)


def _show(home: Home, run: str, *, as_json: bool) -> None:
    from planner.cascade.observed import observed
    from planner.cli import cascade_view
    from planner.cli.output import emit

    found = observed(home, run)
    if as_json:
        emit(cascade_view.observed_json(found))
    else:
        cascade_view.observed(found)
