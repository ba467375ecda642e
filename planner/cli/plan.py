"""``murphy plan`` and ``murphy show``: from a goal to a plan that can be read, and nothing done yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from executor.errors import InputError
from planner.cli.options import Json, LimitsFile, PlanOutput

if TYPE_CHECKING:
    from rich.status import Status

    from executor.model.system import System
    from executor.safety.limits import Limits
    from executor.state.home import Home
    from experts.brief import Constraints
    from planner.session import Session
    from planner.stream import Telling

SystemFile = Annotated[Path, typer.Option("--system", help="The system; murphy discover writes it.")]
Experts = Annotated[str | None, typer.Option(help="Who answers for the experts: offline, openai or anthropic.")]

GOAL_MAX = 4000
_FIELDS = {
    "service": "services",
    "exclude": "excluded_services",
    "fault": "allowed_faults",
    "experiments": "experiments_max",
    "seconds": "seconds_max",
}
"""Each option's field of the constraints."""


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Ask the experts, and write a plan; nothing is run.")(plan)
    app.command(short_help="Say exactly what a plan will do.")(show)


def plan(
    context: typer.Context,
    goal: Annotated[str, typer.Option(help="What you want to know, in plain words.")] = "",
    system: SystemFile = Path("system.yaml"),
    experiments: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 12,
    seconds: Annotated[float, typer.Option(min=1, help="The whole run should take at most about so long.")] = 300,
    service: Annotated[list[str] | None, typer.Option(help="Only this service and its edges; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Never this service; repeatable.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Only faults like this, for instance 'network.*'.")] = None,
    experts: Experts = None,
    limits: LimitsFile = None,
    again: Annotated[str | None, typer.Option(help="RUN/EXPERIMENT: the same once more, to see it again.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Only what this template tries, where it fits; repeatable; all: every one.")
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(metavar="PLAN", help="An earlier plan's id or file: plan it again from recorded answers."),
    ] = None,
    earlier: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SESSION[@STEP]",
            help="Go on from there as a branch of its own, with whatever else is given changed; murphy sessions.",
        ),
    ] = None,
    output: PlanOutput = Path("plan.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan and its Pareto front for programs.")] = False,
) -> None:
    """Ask the experts what could go wrong, and write the plan that teaches most within the limits. Nothing is run."""
    from executor.person import whoami
    from executor.safety.limits import load_limits
    from executor.state.home import Home
    from knowledge.topology.annotations import load_system
    from planner import files
    from planner import goal as goals
    from planner.cli.output import emit, err

    if sum(map(bool, (again, template, replay, earlier))) > 1:
        raise InputError("there are several of --again, --template, --replay and --from.", hint="Give one of them.")
    if replay is not None:
        _replay(replay, output, as_json=as_json)
        return
    if len(goal) > GOAL_MAX:
        raise InputError(f"has {len(goal)} characters, and the limit is {GOAL_MAX}.", where="--goal")
    home = Home.open()
    found, before = (load_system(system), None) if earlier is None else _before(home, earlier)
    allowed = load_limits(limits)
    given = {
        "service": _known(service, found),
        "exclude": _known(exclude, found),
        "fault": tuple(fault or ("*",)),
        "experiments": experiments,
        "seconds": seconds,
    }
    wanted = _wanted(context, given, before)
    wanted, understood = goals.understand(goal, found, wanted)
    if understood:
        err.print(f"Understood: {'; '.join(understood)}.")

    # What takes seconds to load waits until there is something to plan for.
    from experts.roster import from_environment, spent
    from planner.session import Session

    cost = ""
    if template:
        session = _from_templates(home, found, template, wanted, allowed)
    elif again:
        session = Session.repeat(home, found, again=again, limits=allowed, proposer=whoami())
    else:
        council = from_environment(experts)
        told: dict[str, Any] = {"limits": allowed, "experts": council, "proposer": whoami()}
        with err.status("planning…") as status:
            shown = _shown_by(status)
            told |= {"on_progress": shown.step, "on_said": shown.said}
            if earlier is None:
                session = Session.begin(home, found, goal=goal, constraints=wanted, **told)
            else:
                changed = None if wanted.model_dump() == before else wanted
                session = Session.fork(home, earlier, goal=goal or None, constraints=changed, **told)
        cost = spent(council)
    files.save(session.plan, output)
    if cost:
        err.print(cost, style="quiet", markup=False)
    if as_json:
        emit({**session.plan.model_dump(mode="json"), "front": session.front})
        return
    _tell(session, output)


def _replay(plan: str, output: Path, *, as_json: bool) -> None:
    """The strategy of an earlier plan once more, from the answers that were recorded then."""
    from executor.state.home import Home
    from planner import files
    from planner.cli.output import emit, err
    from planner.session import Session

    home = Home.open()
    earlier = Session.find(home, files.load_plan(Path(plan)).id if Path(plan).is_file() else plan)
    if earlier is None:
        raise InputError("no planning session of that name is kept here.", where=plan, hint="murphy plan says the id.")
    with err.status("planning from recorded answers…") as status:
        shown = _shown_by(status)
        session = Session.replay(home, earlier, on_progress=shown.step, on_said=shown.said)
    files.save(session.plan, output)
    if as_json:
        emit({**session.plan.model_dump(mode="json"), "front": session.front})
        return
    _tell(session, output)
    same = session.plan.model_dump(exclude={"id"}) == earlier.plan.model_dump(exclude={"id"})
    err.print(f"The same as {earlier.plan.id}." if same else f"Not the same as {earlier.plan.id}: see the notes.")


def _before(home: Home, earlier: str) -> tuple[System, dict[str, Any]]:
    """The system that an earlier session planned for, and its constraints."""
    from planner.branch import split
    from planner.history import asked_in

    return asked_in(home, split(earlier)[0])


def _wanted(context: typer.Context, given: dict[str, Any], before: dict[str, Any] | None) -> Constraints:
    """What the options say; where there were constraints before, only what was given on the command line changes."""
    from experts.brief import Constraints

    sources = {option: context.get_parameter_source(option) for option in given}
    told = {
        _FIELDS[option]: value
        for option, value in given.items()
        if before is None or ((source := sources[option]) is not None and source.name != "DEFAULT")
    }
    return Constraints.model_validate({**(before or {}), **told})


def _shown_by(status: Status) -> Telling:
    """What a session tells, on one line. Some of it was written by a model."""
    from rich.markup import escape

    from experts.models.saying import Said
    from planner.cli.output import err
    from planner.recorded import in_words
    from planner.stream import Stepped, Telling, Told

    def show(told: Told) -> None:
        if isinstance(told, Stepped):
            stage, text = told.stage, told.text
        elif isinstance(told, Said):
            stage, text = "says", in_words(told)
        else:
            return  # planning runs nothing
        most = max(20, err.width - len(stage) - 6)
        status.update(escape(f"{stage}: {text if len(text) <= most else '…' + text[1 - most :]}"))

    return Telling(show)


def _from_templates(home: Home, system: System, names: list[str], wanted: Constraints, limits: Limits) -> Session:
    from executor.person import whoami
    from planner.cli.output import err
    from planner.mined import named_templates
    from planner.regression import regression_plan
    from planner.session import Session

    made = regression_plan(named_templates(home, names), system, wanted, limits=limits, proposer=whoami())
    for note in made.notes:
        err.print(f"· {note}", style="quiet", markup=False)
    return Session.adopt(home, made.plan, system, limits=limits)


def show(
    path: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan's file.")] = Path("plan.json"),
    system: SystemFile = Path("system.yaml"),
    as_json: Json = False,
) -> None:
    """Say exactly what a plan will do, in plain words, with a picture of when, and to which processes right now."""
    from knowledge.topology.annotations import load_system
    from planner import files
    from planner.cli import plan_view, struck_view
    from planner.cli.output import emit

    loaded = files.load_plan(path)
    if as_json:
        emit(loaded)
        return
    plan_view.show(loaded)
    if system.exists() and (found := load_system(system)).name == loaded.system_name:
        struck_view.show(loaded, found)


def _known(names: list[str] | None, system: System) -> tuple[str, ...]:
    if not names:
        return ()
    from planner.possible import known_service

    return tuple(known_service(system, name).name for name in names)


def _tell(session: Session, output: Path) -> None:
    from planner.cli import plan_view
    from planner.cli.output import err, out

    out.print(f"[head]Plan {session.plan.id}[/head] ({output})")
    out.print(plan_view.overview(session.plan))
    if session.front:
        out.print(plan_view.front(session.front))
    for note in session.notes:
        err.print(f"· {note}", style="quiet", markup=False)
    plan_view.written(output)
