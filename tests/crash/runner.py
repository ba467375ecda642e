"""A process that carries out a run and may die at a chosen moment: ``runner.py DIRECTORY [MOMENT alone|both]``.

Prints each event's kind on a line of its own, then ``outcome …`` or ``refused …``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from executor import engine, guardian, trial
from executor.errors import MurphyError
from executor.home import Home
from executor.journal import Journal
from executor.model.approval import Approval
from executor.model.plan import Plan
from executor.model.system import System
from executor.safety.limits import Limits

watchdogs: list[guardian.Guardian] = []
MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "armed": (Journal, "arm", False),
    "made": (Journal, "injected", True),
    "injected": (Journal, "injected", False),
    "unreverted": (trial, "undo_all", True),
    "reverted": (Journal, "reverted_all", True),
    "noted": (Journal, "reverted_all", False),
}
"""Each is the call before or after which it dies: whose, which, and whether before."""


def die_at(moment: str, both: bool) -> None:
    """Die at a boundary of the journal, with the watchdog or without it."""

    def die() -> None:
        if both:
            for watchdog in watchdogs:
                assert watchdog.pid is not None
                os.kill(watchdog.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    start = guardian.Guardian.start

    def started(self: guardian.Guardian) -> None:
        start(self)
        watchdogs.append(self)

    guardian.Guardian.start = started  # type: ignore[method-assign]

    owner, name, before = MOMENTS[moment]
    real: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            die()
        result = real(*args, **kwargs)
        die()
        return result

    setattr(owner, name, wrapped)


def main() -> None:
    directory = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would have it ignored
    if len(sys.argv) > 2:
        die_at(sys.argv[2], both=sys.argv[3] == "both")
    try:
        evidence = engine.run(
            Plan.model_validate_json((directory / "plan.json").read_bytes()),
            Approval.model_validate_json((directory / "approval.json").read_bytes()),
            system=System.model_validate_json((directory / "system.json").read_bytes()),
            limits=Limits.model_validate_json((directory / "limits.json").read_bytes()),
            home=Home.open(directory / "home"),
            report=lambda event: print(event.kind.value, flush=True),
        )
    except MurphyError as error:
        print(f"refused {error}", flush=True)
    else:
        print(f"outcome {evidence.outcome}", flush=True)


if __name__ == "__main__":
    main()
