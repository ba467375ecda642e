"""A process that carries out the plan in a directory: ``python -m bench.runner DIRECTORY HOME [COUNT]``.

A line on standard input asks it to stop, as do signals. With COUNT, its report blocks for ever from that injection on.
At its end it prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from executor.errors import MurphyError
from executor.model.evidence import Event, EventKind
from executor.selftest.parts import carry_out
from executor.state.home import Home
from planner.cli.interrupt import stopping


def main() -> None:
    directory, home = Path(sys.argv[1]), Home.open(sys.argv[2])
    block_at = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    injected = 0

    def report(event: Event) -> None:
        nonlocal injected
        injected += event.kind is EventKind.INJECTED
        if block_at and injected >= block_at:
            threading.Event().wait()

    with stopping() as stop:

        def heed() -> None:
            if sys.stdin.readline():
                stop.set()

        threading.Thread(target=heed, daemon=True).start()
        try:
            evidence = carry_out(directory, home, report=report, stop=stop)
        except MurphyError as error:
            print(json.dumps({"refused": str(error)}), flush=True)
            return
    noticed = next((e for e in evidence.timeline if e.kind in (EventKind.HALTED, EventKind.ABORTED)), None)
    reverted = [e.wall.timestamp() for e in evidence.timeline if e.kind is EventKind.REVERTED]
    said = {
        "outcome": evidence.outcome,
        "owed": len(evidence.owed),
        "noticed": noticed.wall.timestamp() if noticed else None,
        "reverted": max(reverted, default=None),
        "count": len(reverted),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
