"""What a process of ours heeds from its first moment on, told through its environment: a boundary, and another clock.

The executor is forked and told directly; the watchdog, the helpers and the next start are programs of their own. They
find a ``sitecustomize`` of ours first on their path, which calls ``heed``.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from executor import clock
from executor.selftest.moments import Boundary, stand_still_at

_BOUNDARY, _CLOCK = "MURPHY_SELFTEST_BOUNDARY", "MURPHY_SELFTEST_CLOCK"
_START = "from executor.selftest import hooks\n\nhooks.heed()\n"


def heed() -> None:
    """Heed what the environment says, as far as it is meant for this program."""
    role, _, text = os.environ.get(_BOUNDARY, "").partition(":")
    if role and role in sys.orig_argv:
        stand_still_at(Boundary.parse(text))
    if file := os.environ.get(_CLOCK):
        step_with(Path(file))


def environment(directory: Path, *, module: str = "", boundary: Boundary | None = None) -> dict[str, str]:
    """What to put into the environment so that programs started from it heed: the clock, or ``module`` the boundary.

    ``directory`` gets the ``sitecustomize``.
    """
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(_START, encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))
    told = {_BOUNDARY: f"{module}:{boundary}"} if boundary else {_CLOCK: str(clock_file(directory))}
    return {"PYTHONPATH": path, **told}


def clock_file(directory: Path) -> Path:
    """The file that says by how many seconds the wall clock is off; not there: by none."""
    return directory / "clock"


def step_with(file: Path) -> None:
    """From now on the wall clock of this process is off by what ``file`` says, whenever it changes.

    All of the executor reads the wall clock through ``executor.clock`` (a test holds it to that), and leases run on
    another clock, which stays as it is. The machine's own clock is never touched.
    """

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Stepped:
            try:
                off_s = float(file.read_text(encoding="ascii"))
            except (OSError, ValueError):
                off_s = 0.0
            return super().now(tz) + timedelta(seconds=off_s)

    setattr(clock, "datetime", Stepped)  # noqa: B010 - mypy would not have an imported name replaced
