"""``murphy selftest``: kill Murphy on this machine, on a small system of its own, and see that nothing stays behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from executor.selftest.matrix import Answer, Summary

RESIDUES = 4
_PLAIN = 14


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Kill Murphy here, and see that no fault stays behind.")(selftest)


def selftest(
    crash: Annotated[bool, typer.Option("--crash", help="The whole crash matrix: minutes, not a minute.")] = False,
    cases: Annotated[int, typer.Option(min=1, help="With --crash: how many random instants.")] = 200,
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the same cases again.")] = None,
    keep: Annotated[Path, typer.Option(help="Where what was left is kept, to be looked at.")] = Path(
        "selftest-residues"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """Run faults of every lease kind on services that Murphy starts for it, and kill, hang and starve it meanwhile.

    Nothing of yours is touched. Exit code 4 if anything was left behind, else 0.
    """
    from executor.selftest import matrix
    from executor.selftest.cases import some, whole

    number = matrix.any_seed() if seed is None else seed
    begins = f"Seed {number}. Every case is a run on services of its own, struck at another moment."
    if not as_json:
        print(begins, flush=True)  # noqa: T201
    summary = matrix.run(
        (lambda events_s: whole(number, cases, events_s))
        if crash
        else (lambda events_s: some(number, _PLAIN, events_s)),
        seed=number,
        lanes=matrix.lanes_for(),
        artefacts=keep,
        report=_silent if as_json else _tell,
    )
    if as_json:
        import json

        print(json.dumps(summary.plain(), indent=2))  # noqa: T201
    else:
        _conclude(summary)
    return RESIDUES if summary.residues else 0


def _tell(answer: Answer) -> None:
    if answer["residues"]:
        print(f"LEFT: {_words(answer)}", flush=True)  # noqa: T201


def _silent(answer: Answer) -> None:
    """Say nothing."""


def _words(answer: Answer) -> str:
    from executor.selftest.cases import Case
    from planner.cli.visible import visible

    return visible(f"{Case(**answer['case'])}: {'; '.join(answer['residues'])}")


def _conclude(summary: Summary) -> None:
    found: dict[str, Any] = summary.plain()
    for sort, count in found["cases"].items():
        print(f"{count:5}  {sort}")  # noqa: T201
    for what, why in found["left_out"].items():
        print(f" none  {what}: left out, since {why}")  # noqa: T201
    alive = ", ".join(f"{kind.replace('_', ' ')} in {count}" for kind, count in found["alive"].items())
    print(f"Faults that were there when it was struck, by lease kind: {alive} cases.")  # noqa: T201
    total, left = sum(found["cases"].values()), found["residues"]
    print(f"{total} cases, {left} residues, {found['seconds']:.0f} s, seed {found['seed']}.")  # noqa: T201
    for answer in summary.residues:
        print(f"Kept in {answer['place']}: {_words(answer)}")  # noqa: T201
