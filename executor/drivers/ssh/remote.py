"""Our half on another machine: one question, one answer; ``executor.drivers.ssh.driver`` sends it with all it imports.

Standard library only.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from executor.clock import boot_id
from executor.drivers.ssh import keeper
from executor.errors import FaultGoneError, MurphyError, UnavailableError
from executor.kernel import process

Question = Mapping[str, Any]


def answer(question: Question) -> None:
    """Do what the question asks, and print the answer as one line of JSON."""
    try:
        said: dict[str, Any] = {"answer": _DOES[question["do"]](question)}
    except FaultGoneError as gone:
        said = {"gone": gone.message}
    except MurphyError as error:
        said = {"error": str(error)}
    except OSError as error:
        said = {"error": f"{error.strerror or error}."}
    sys.stdout.write(f"\n{MARK}{json.dumps(said)}\n")


MARK: Final = "murphy: "
"""What the answer's line begins with, among what a login there may say too."""


def _find(question: Question) -> dict[str, Any]:
    found = process.find(SimpleNamespace(pid=None, start_ticks=None, **question["instance"]))  # type: ignore[arg-type]
    return {"pid": found.pid, "start_ticks": found.start_ticks, "boot": boot_id()}


def _unfreezable(question: Question) -> str | None:
    pid, ticks = _head(question)
    return process.forbidden(pid, ticks) or process.stopped(pid, ticks)


def _freezing(question: Question) -> list[list[int]]:
    pid, ticks = _head(question)
    if reason := process.stopped(pid, ticks):
        raise UnavailableError(reason)
    return process.members(pid, ticks)


def _freeze(question: Question) -> None:
    _head(question)
    keeper.start(question["keeper"], question["processes"], question["lease_s"], where=question["instance"])


def _renew(question: Question) -> None:
    keeper.renew(question["keeper"], question["lease_s"])


def _frozen(question: Question) -> bool:
    return any(process.state(pid, ticks) == "T" for pid, ticks in _there(question))


def _thaw(question: Question) -> None:
    keeper.end(question["keeper"])
    process.send_all(reversed(_there(question)), signal.SIGCONT)


def _there(question: Question) -> list[list[int]]:
    """Its processes; none once the machine has booted anew, when their pids may be others'."""
    return list(question["processes"]) if question["boot"] == boot_id() else []


def _head(question: Question) -> list[int]:
    """The process itself. Raises ``UnavailableError`` if it is gone."""
    there = _there(question)
    if not there or not process.alive(*there[0]):
        raise UnavailableError("the process is gone, or its pid is another process's now.")
    return there[0]


_DOES: Final[Mapping[str, Callable[[Question], Any]]] = {
    "find": _find,
    "unfreezable": _unfreezable,
    "freezing": _freezing,
    "freeze": _freeze,
    "renew": _renew,
    "frozen": _frozen,
    "thaw": _thaw,
}
