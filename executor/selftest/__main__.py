"""``python -m executor.selftest``: the crash matrix without the command line of ``murphy``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from executor.selftest import matrix
from executor.selftest.cases import Case, boundaries, instants


def main() -> int:
    """Run it and say what was left; 1 if anything was."""
    parser = argparse.ArgumentParser(prog="executor.selftest")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--strikes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=matrix.any_seed())
    parser.add_argument("--lanes", type=int, default=matrix.lanes_for())
    parser.add_argument("--artefacts", type=Path, default=Path("selftest-residues"))
    asked = parser.parse_args()

    def cases(events_s: list[float]) -> list[Case]:
        return boundaries(asked.seed, asked.strikes) + instants(asked.seed, asked.cases, events_s)

    summary = matrix.run(cases, seed=asked.seed, lanes=asked.lanes, artefacts=asked.artefacts, report=_say)
    print(  # noqa: T201
        json.dumps(
            {
                "seed": summary.seed,
                "cases": summary.counts(),
                "alive": summary.alive(),
                "recovered": sum(a["recovered"] for a in summary.answers),
                "residues": len(summary.residues),
                "seconds": round(summary.seconds, 1),
            },
            indent=1,
        )
    )
    return 1 if summary.residues else 0


def _say(answer: matrix.Answer) -> None:
    case = Case(**answer["case"])
    words = "; ".join(answer["residues"]) or ("missed" if answer["missed"] else "nothing left")
    print(f"{case}: {words} ({answer['seconds']:.1f} s, {answer['alive']})", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
