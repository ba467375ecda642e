"""The murphy command, one file a command family."""

from __future__ import annotations

import sys

BY_HAND = "by hand"
"""The reason of a halt for which none is given."""


def murphy() -> None:
    """Load the command line and run it. An interruption is one sentence even while it still loads."""
    try:
        if sys.argv[1:2] == ["halt"]:
            _halt_first(sys.argv[2:])
        from planner.cli.main import main

        main()
    except KeyboardInterrupt:
        print("murphy: interrupted.", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def _halt_first(arguments: list[str]) -> None:
    """Raise the flag before the command line loads, if the words can mean nothing else; the command does the rest.

    Loading waits until the runs have undone their faults, for which they need the processors.
    """
    words = [word for word in arguments if word != "--json"]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        return
    from executor.safety import flag

    flag.first(*(words or [BY_HAND]))
