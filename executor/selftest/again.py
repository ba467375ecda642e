"""The next start: recover a home in a process of its own. ``python -m executor.selftest.again HOME`` prints JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from executor.home import Home
from executor.recover import recover


def main() -> None:
    """Undo what dead runs have left, as ``murphy recover`` does, and say what became of each."""
    undone = recover(Home.open(Path(sys.argv[1])))
    done = [str(result.injection) for result in undone if result.reverted]
    owed = [result.error for result in undone if not result.reverted]
    print(json.dumps({"undone": done, "owed": owed}))  # noqa: T201 - its answer
    sys.exit(4 if owed else 0)


if __name__ == "__main__":
    main()
