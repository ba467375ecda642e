"""A process that carries out a run, to be struck from outside: ``runner.py DIRECTORY``.

Prints each event's kind on a line of its own, then ``outcome …`` or ``refused …``.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from executor.errors import MurphyError
from executor.selftest.parts import carry_out
from executor.state.home import Home


def main() -> None:
    directory = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would have it ignored
    try:
        evidence = carry_out(
            directory,
            Home.open(directory / "home"),
            report=lambda event: print(event.kind.value, flush=True),
        )
    except MurphyError as error:
        print(f"refused {error}", flush=True)
    else:
        print(f"outcome {evidence.outcome}", flush=True)


if __name__ == "__main__":
    main()
