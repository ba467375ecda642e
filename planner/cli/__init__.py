"""The murphy command, one file a command family."""

from __future__ import annotations

import sys


def murphy() -> None:
    """Load the command line and run it. An interruption is one sentence even while it still loads."""
    try:
        from planner.cli.main import main

        main()
    except KeyboardInterrupt:
        print("murphy: interrupted.", file=sys.stderr)  # noqa: T201
        sys.exit(130)
