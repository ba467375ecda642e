"""``murphy selftest``: kill Murphy on this machine, on a small system of its own, and see that nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json
from planner.cli.visible import visible

if TYPE_CHECKING:
    from executor.selftest.matrix import Answer, Summary

RESIDUES = 4
_SAY_EACH = 25


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Kill Murphy here, and see that no fault stays.")(selftest)


def selftest(
    crash: Annotated[bool, typer.Option("--crash", help="The whole crash matrix: minutes, not a minute.")] = False,
    cases: Annotated[int, typer.Option(min=1, help="With --crash: how many random instants.")] = 200,
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the same cases again.")] = None,
    keep: Annotated[Path, typer.Option(help="Where files of what stayed are kept.")] = Path("selftest-residues"),
    as_json: Json = False,
) -> int:
    """Run faults of every lease kind on services made for it; kill, hang and starve Murphy meanwhile; see what stays.

    Nothing of yours is touched. Exit code 4 if anything was left behind, else 0.
    """
    from executor.selftest import matrix
    from executor.selftest.cases import few, whole
    from planner.cli.interrupt import interrupted

    number = matrix.any_seed() if seed is None else seed
    if not as_json:
        print(f"Seed {number}. Each case is a run on services of its own, struck at another moment.", flush=True)  # noqa: T201
    with interrupted("ending: the cases under way come to their end, up to a minute"):
        summary = matrix.run(
            lambda events_s: whole(number, cases, events_s) if crash else few(number, events_s),
            seed=number,
            lanes=matrix.lanes_for(),
            artefacts=keep,
            report=_say_nothing if as_json else _Progress(),
        )
    if as_json:
        print(json.dumps(summary.plain(), indent=2))  # noqa: T201
    else:
        _conclude(summary)
    return RESIDUES if summary.residues else 0


class _Progress:
    """Says at once what was left, and now and then that it goes on."""

    def __init__(self) -> None:
        self._done = 0

    def __call__(self, answer: Answer) -> None:
        self._done += 1
        if answer["residues"]:
            print(f"LEFT: {_words(answer)}", flush=True)  # noqa: T201
        elif self._done % _SAY_EACH == 0:
            print(f"{self._done} cases so far.", flush=True)  # noqa: T201


def _say_nothing(answer: Answer) -> None:
    """For programs, which get it all at the end."""


def _words(answer: Answer) -> str:
    from executor.selftest.cases import Case

    return visible(f"{Case(**answer['case'])}: {'; '.join(answer['residues'])}")


def _conclude(summary: Summary) -> None:
    counts = summary.counts()
    for sort, count in counts.items():
        print(f"{count:5}  {sort}")  # noqa: T201
    for what, why in summary.left_out.items():
        print(visible(f" none  {what}: left out, since {why}"))  # noqa: T201
    alive = ", ".join(f"{kind.replace('_', ' ')} in {count}" for kind, count in summary.alive().items())
    print(f"Faults alive when it was struck, by lease kind: {alive} cases.")  # noqa: T201
    for answer in summary.residues:
        print(f"Kept in {answer['place']}: {_words(answer)}")  # noqa: T201
    residues, total = len(summary.residues), sum(counts.values())
    print(f"{total} cases, {residues} residues, {summary.seconds:.0f} s, seed {summary.seed}.")  # noqa: T201
