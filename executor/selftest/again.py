"""The next start: recover a home in a process of its own. ``python -m executor.selftest.again HOME`` prints JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from executor.errors import MurphyError
from executor.state.home import Home
from executor.undo.recover import recover


def main() -> None:
    """Undo what dead runs have left, as ``murphy recover`` does, say what became of each, and end with its code."""
    try:
        undone = recover(Home.open(Path(sys.argv[1])))
    except MurphyError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    done = [str(result.injection) for result in undone if result.reverted]
    owed = [result.error for result in undone if not result.reverted]
    print(json.dumps({"undone": done, "owed": owed}))  # noqa: T201 - its answer
    sys.exit(4 if owed else 0)


if __name__ == "__main__":
    main()
