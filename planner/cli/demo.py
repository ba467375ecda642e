"""``murphy demo``: the whole loop on the bundled shop, report at the end, nothing left behind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import InputError

if TYPE_CHECKING:
    from executor.state.home import Home
    from planner.session import Outcome

DEFAULT_HOME = Path(".murphy/demo")
INTERNAL = 5


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Run the whole loop once, on a small real shop.")(demo)


def demo(
    home: Annotated[
        Path, typer.Option(help="Where the demo keeps its state; what it learns stays there.")
    ] = DEFAULT_HOME,
    output: Annotated[Path, typer.Option("-o", "--output", help="The report.")] = Path(".murphy/demo-report.html"),
    experiments: Annotated[int, typer.Option(min=1, max=50, help="At most so many.")] = 30,
    seconds: Annotated[float, typer.Option(min=10, help="The run should take at most about so long.")] = 128,
    experts: Annotated[str | None, typer.Option(help="Who answers: offline, openai or anthropic.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Begin without what earlier demos have learned.")] = False,
) -> int:
    """Start the shop, discover it, plan, sign, run under the guard, report, learn. A second run knows more."""
    from planner.cli.output import out
    from planner.cli.run import exit_code

    began = time.monotonic()
    state = _opened(home, forget=forget)
    result, shop = _turn(state, output, experiments, seconds, experts)
    clean = _prove(state, shop, result)
    out.print(f"\nReport: [head]{output}[/head]   The whole took {time.monotonic() - began:.0f} s.")
    out.print("Run it again: it plans from what it has just learned.", style="quiet")
    return exit_code(result.evidence, found=False) if clean else INTERNAL


def _opened(path: Path, *, forget: bool) -> Home:
    """The home; made anew for ``forget``, unless it trusts or keeps other keys than a demo's: then it is a person's."""
    from executor.safety.trust import read_trusted
    from executor.state.home import Home
    from executor.undo.recover import forget as forget_state
    from planner.demo.loop import OPERATOR

    home = Home.seen(path)
    if forget and home.is_made():
        trusted, kept = read_trusted(home).keys(), {path.stem for path in home.keys.glob("*.pem")}
        if others := sorted((trusted | kept) - {OPERATOR}):
            does = "trusts" if others[0] in trusted else "keeps"
            raise InputError(
                f"--forget removes only what demos have made, and this home {does} the key {others[0]}.",
                where=str(path),
                hint="Give another --home.",
            )
        forget_state(home)
    return Home.open(path)


def _turn(home: Home, output: Path, experiments: int, seconds: float, experts: str | None) -> tuple[Outcome, Path]:
    from planner.cli import experts_view, plan_view, results_view, system_view
    from planner.cli.interrupt import stopping
    from planner.cli.live import Live
    from planner.cli.output import heading, out
    from planner.demo import loop
    from planner.demo.shop import open_shop
    from planner.report.write import write

    heading("The shop")
    with out.status("opening the shop…") as status, open_shop() as shop:
        system = loop.look(shop.starter, shop.annotations, lambda text: status.update(f"{text}…"))
        status.stop()
        system_view.show(system)

        heading("The plan")
        status.start()
        session = loop.think(
            home,
            system,
            experiments=experiments,
            seconds=seconds,
            experts=experts,
            tell=lambda t: status.update(f"{t}…"),
        )
        status.stop()
        out.print(plan_view.overview(session.plan))
        for note in session.notes:
            out.print(f"· {note}", style="quiet", markup=False, soft_wrap=True)

        heading("The run")
        approval = loop.sign(home, session)
        out.print(
            f"Signed under the demo's own policy, by {approval.grant.approver}; plan {approval.grant.plan_digest[:19]}…"
        )
        with stopping() as stop, Live(session.plan) as live:
            result = session.carry_out(approval, limits=session.limits, report=live, stop=stop)

    heading("Findings")
    results_view.findings(result.findings)
    heading("The experts")
    experts_view.show(result.track_record, {})
    heading("What comes next")
    for idea in result.next_ideas:
        out.print(f"· {idea}", markup=False, soft_wrap=True)
    results_view.outcome(result.evidence)
    output.parent.mkdir(parents=True, exist_ok=True)
    write(home, result.evidence.run, output)
    return result, shop.directory


def _prove(home: Home, shop: Path, result: Outcome) -> bool:
    """Look for whatever bears a mark of this demo, and say what is found; whether it is nothing."""
    from executor.traces import KINDS, traces
    from planner.cli.output import heading, out

    mark = f"murphy-{result.evidence.run.removeprefix('run-')}"
    left = traces((str(home.path), str(shop), mark))
    heading("Nothing left behind?")
    for item in left:
        out.print(f"[breaks]left: {item}[/breaks]", soft_wrap=True)
    if not left:
        out.print(f"[holds]Nothing[/holds]: none of this host's {KINDS} bears {mark} or belongs to the shop.")
    return not left
