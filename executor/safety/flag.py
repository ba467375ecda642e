"""The flag that halts everything, written with next to nothing loaded: whoever runs ``murphy halt`` is in a hurry.

Each module takes a millisecond or more to load, ``pathlib`` and ``json`` among them, so there are none but what Python
has loaded at its start. All else of a halt is in ``executor.safety.halt``.
"""

from __future__ import annotations

import os
import time

from executor.person import whoami
from executor.state import place
from executor.state.durable import write

GIVE_WAY_S = 0.3
"""How long runs that undo have the processors for themselves."""
LOOK_S = 0.02

unaudited: dict[str, list[dict[str, str]]] = {}
"""By file: flags that this process has raised and not put into the audit trail yet, oldest first."""


def first(reason: str) -> None:
    """Raise the flag where ``MURPHY_HOME`` says and let the runs undo, before anything else is loaded.

    Does nothing where the flag is up, or where that is no state directory or cannot be written: whoever comes next says
    so.
    """
    home = os.path.realpath(place.chosen())
    file = os.path.join(home, place.HALT_FILE)
    if not place.is_made(home) or os.path.lexists(file):
        return
    try:
        put(file, reason, whoami())
    except OSError:
        return
    give_way(os.path.join(home, "runs"))


def put(file: str, reason: str, by: str) -> dict[str, str]:
    """Write a flag; every run sees it before it is on disk, where it is on return. Raises ``OSError`` if it is not up.

    On a full disk it is up without its reason.
    """
    now = time.time_ns()
    since = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now // 1000 % 10**6:06}+00:00"
    flag = {"since": since, "reason": reason, "by": by}
    content = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in flag.items())
    try:
        write(file, f"{{{content}}}".encode("utf-8", "backslashreplace"), seen_first=True)
    except OSError:
        _touch(file)  # an empty file may still be possible, and halts as well
        if not os.path.exists(file):
            raise
    unaudited.setdefault(file, []).append(flag)
    return flag


def give_way(runs: str) -> None:
    """Do nothing while the runs undo, for ``GIVE_WAY_S`` at most: what is done meanwhile takes processors from them.

    Only whether a note is left in one of the runs' directories is looked at; what is undone, and what is not,
    ``executor.safety.settle`` tells.
    """
    deadline = time.monotonic() + GIVE_WAY_S
    while time.monotonic() < deadline and _undoing(runs):
        time.sleep(LOOK_S)


def _undoing(runs: str) -> bool:
    try:
        with os.scandir(runs) as found:
            return any(name.startswith("undo-") for run in found if run.is_dir() for name in os.listdir(run.path))
    except OSError:  # another user's, or one that is removed just now
        return False


def _quoted(text: str) -> str:
    """A string of JSON; half of a character becomes an escape when it is written."""
    return '"' + "".join(each if each >= " " and each not in '"\\' else f"\\u{ord(each):04x}" for each in text) + '"'


def _touch(file: str) -> None:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError:
        return
