"""``python -m executor.selftest``: the self-test without the command line of ``murphy``, case by case."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from executor.selftest import cases, matrix
from executor.selftest.troubles import TROUBLES


def main() -> int:
    """Run it, say how each case came out, and print a summary as JSON; 4 if anything was left."""
    parser = argparse.ArgumentParser(prog="executor.selftest")
    parser.add_argument("--instants", type=int, default=200, help="random instants")
    parser.add_argument("--boundaries", type=int, default=2, help="strikes at each boundary")
    parser.add_argument("--undoing", type=int, default=1, help="strikes at each boundary of those who undo")
    parser.add_argument("--troubles", type=int, default=4, help="cases of each trouble")
    parser.add_argument("--only", default="", help="only cases whose words contain this")
    parser.add_argument("--seed", type=int, default=matrix.any_seed())
    parser.add_argument("--lanes", type=int, default=matrix.lanes_for())
    parser.add_argument("--keep", type=Path, default=Path("selftest-residues"))
    asked = parser.parse_args()

    def chosen(events_s: list[float]) -> list[cases.Case]:
        troubles = [name for name in TROUBLES if name] if asked.troubles else []
        every = [
            *cases.boundaries(asked.seed, asked.boundaries),
            *cases.undoing(asked.seed, asked.undoing),
            *cases.troubles(asked.seed, asked.troubles - 1, events_s, troubles),
            *cases.instants(asked.seed, asked.instants, events_s),
        ]
        return [case for case in every if asked.only in str(case)]

    summary = matrix.run(chosen, seed=asked.seed, lanes=asked.lanes, artefacts=asked.keep, report=_say)
    print(json.dumps(summary.plain(), indent=1))  # noqa: T201
    return 4 if summary.residues else 0


def _say(answer: matrix.Answer) -> None:
    words = "; ".join(answer["residues"]) or ("over before" if answer["missed"] else "nothing left")
    case = cases.Case(**answer["case"])
    print(f"{case}: {words} ({answer['seconds']:.1f} s, {answer['alive']})", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
