"""Having a process read its settings again: by a signal that it surely catches, or by its operator's command.

Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from executor.clock import start_ticks
from executor.errors import UnavailableError
from executor.kernel import locate, process

if TYPE_CHECKING:
    from executor.drivers.targets import ProcessTarget

_CATCHES_WITHIN_S = 5.0
"""How long a process that has just been started may take until it catches the signal; before, it would end by it."""
_COMMAND_S = 10.0


def impossible(target: ProcessTarget, number: str | None) -> str | None:
    """Why a process cannot be given that signal, in one sentence; ``None`` if it can, or there is none to be given."""
    if number is None:
        return None
    if not _catches(target.pid, number):
        return f"process {target.pid} does not catch SIG{number}, so it would not read its settings, but end or go on."
    return process.forbidden(target.pid, target.start_ticks)


def record(target: ProcessTarget, number: str | None, command: Sequence[str]) -> dict[str, Any]:
    """How to have it read again, and whatever takes its place. Raises ``UnavailableError`` if it is gone."""
    kept = {
        "pid": target.pid,
        "ticks": target.start_ticks,
        "program": _program(target.pid),
        "instance": target.instance,
        "port": target.port,
        "command": target.command,
        "signal": number,
        "reload": list(command),
    }
    process.require(target.pid, target.start_ticks)
    return kept


def again(kept: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Have whatever runs there now read its settings again; which processes that are, by pid and start time.

    Raises ``UnavailableError`` if it does not come to catch the signal, or the command does not succeed.
    """
    found = running(kept)
    if found and kept["signal"]:
        for pid, ticks in found:
            _signal(pid, ticks, kept)
    elif found and kept["reload"]:
        _run(kept["reload"])
    return found


def running(kept: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The process of then, or those that take its place and run the same program."""
    if process.alive(kept["pid"], kept["ticks"]):
        return [(kept["pid"], kept["ticks"])]
    if not (kept["port"] or kept["command"]):
        return []
    like: Any = SimpleNamespace(id=kept["instance"], port=kept["port"], command=kept["command"])
    found = [(pid, start_ticks(pid)) for pid in locate.heads_of(like) if _program(pid) == kept["program"]]
    return [(pid, ticks) for pid, ticks in found if ticks is not None]


def _signal(pid: int, ticks: int, kept: Mapping[str, Any]) -> None:
    until = time.monotonic() + _CATCHES_WITHIN_S
    while not _catches(pid, kept["signal"]):
        if not process.alive(pid, ticks):
            return
        if time.monotonic() >= until:
            why = f"process {pid} does not catch SIG{kept['signal']}, so it is not told to read its settings again."
            raise UnavailableError(why, where=kept["instance"], hint="Have it read them by hand.")
        time.sleep(0.02)
    process.send(pid, ticks, signal.Signals[f"SIG{kept['signal']}"])


def _run(command: Sequence[str]) -> None:
    """The operator's command; no shell reads it."""
    null = subprocess.DEVNULL
    try:
        started = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd="/")
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be run: {error.strerror}.", hint="Correct it.") from None
    try:
        status = started.wait(_COMMAND_S)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)  # it is not reaped yet, so the group is its own
        started.wait()
        raise UnavailableError(f"{command[0]} takes longer than {_COMMAND_S:g} s.") from None
    if status:
        raise UnavailableError(f"{command[0]} ended with status {status}.", hint="Have the service read its settings.")


def _catches(pid: int, number: str) -> bool:
    try:
        return process.catches(pid, signal.Signals[f"SIG{number}"])
    except OSError:
        return False


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")  # noqa: PTH115 - the kernel's text
    except OSError:
        return ""
