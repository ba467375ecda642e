"""Our half on another machine: one question, one answer; ``executor.drivers.ssh.driver`` sends it with all it imports.

A question holds a record of the driver, and beside it what the record must not: environment and arguments of what is to
be started again. Standard library only.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from executor.clock import boot_id
from executor.drivers import restart
from executor.drivers.ssh import jobs, keeper
from executor.errors import FaultGoneError, MurphyError, UnavailableError
from executor.kernel import locate, process

Question = Mapping[str, Any]
_NOBODY: Final = -1
"""A start time that no process has."""
_MARGIN_S: Final = 5.0


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
    found = locate.find(SimpleNamespace(pid=None, start_ticks=None, **question["instance"]))  # type: ignore[arg-type]
    above = list(process.lineage(found.pid))[1:]
    workers = [pid for pid, _ in process.members(found.pid, found.start_ticks)[1:]]
    return {"pid": found.pid, "start_ticks": found.start_ticks, "boot": boot_id(), "above": above, "workers": workers}


def _unfreezable(question: Question) -> str | None:
    pid, ticks = _head(question)
    return process.forbidden(pid, ticks) or process.stopped(pid, ticks)


def _freezing(question: Question) -> list[list[int]]:
    pid, ticks = _head(question)
    if reason := process.stopped(pid, ticks):
        raise UnavailableError(reason)
    return process.going(pid, ticks)


def _freeze(question: Question) -> None:
    _begin(question, jobs.Still(question["processes"], question["instance"]))


def _slow(question: Question) -> None:
    lengths_s = {part: question[part] for part in ("still_s", "run_s")}
    _begin(question, jobs.Slow(question["processes"], question["instance"], **lengths_s))


def _renew(question: Question) -> None:
    keeper.renew(question["keeper"], question["lease_s"])


def _frozen(question: Question) -> bool:
    return any(process.state(pid, ticks) == "T" for pid, ticks in _there(question))


def _slowed(question: Question) -> bool:
    at_work = any(process.alive(pid, ticks) for pid, ticks in _there(question)) and keeper.lives(question["keeper"])
    return at_work or _frozen(question)


def _thaw(question: Question) -> None:
    keeper.end(question["keeper"])
    process.send_all(reversed(_there(question)), signal.SIGCONT)


def _unendable(question: Question) -> str | None:
    pid, ticks = _head(question)
    command = question["service"]["restart_command"]
    if command and shutil.which(command[0]) is None:
        return f"its restart_command needs {command[0]}, which is no program there; correct it in system.yaml."
    return process.forbidden(pid, ticks) or restart.impossible(_target(question))


def _ending(question: Question) -> dict[str, Any]:
    _head(question)
    kept, environment, arguments = restart.image(_target(question), by=question["by"])
    return {
        "kept": kept,
        "environ": b64encode(environment).decode("ascii"),
        "arguments": b64encode(arguments).decode("ascii"),
    }


def _end(question: Question) -> None:
    _begin(question, jobs.Ended(*_image(question), how=question["how"]))


def _loop(question: Question) -> None:
    pace = {part: question[part] for part in ("every_s", "times")}
    _begin(question, jobs.Looping(*_image(question), **pace))


def _looping(question: Question) -> bool:
    return keeper.lives(question["keeper"])


def _ended(question: Question) -> bool:
    return not process.alive(*_kept(question)["members"][0])


def _down(question: Question) -> bool:
    return not restart.back(_kept(question))


def _start(question: Question) -> None:
    """Its keeper does it, and has the environment and arguments from then; what it leaves is done here."""
    keeper.end(question["keeper"], longest_s(question))
    jobs.Ended(*_image(question)).mend()


def longest_s(record: Mapping[str, Any]) -> float:
    """How long putting right what was ended may take, seconds."""
    return float(record["grace_s"] + record["kept"]["patience_s"] + restart.BACK_S + _MARGIN_S)


def _begin(question: Question, job: jobs.Job) -> None:
    _head(question)
    keeper.start(question["keeper"], job, question["lease_s"], where=question["instance"])


def _target(question: Question) -> Any:
    """As the driver of local processes knows a target, as far as starting it again asks."""
    pid, ticks = _head(question)
    service = SimpleNamespace(**question["service"])
    return SimpleNamespace(service=service, pid=pid, start_ticks=ticks, **question["as_found"])


def _kept(question: Question) -> dict[str, Any]:
    """How the process ran; after another boot than that of then it is no process of now."""
    members = _there(question) or [[pid, _NOBODY] for pid, _ in question["processes"]]
    return {**question["kept"], "members": members, "grace_s": question["grace_s"]}


def _image(question: Question) -> tuple[dict[str, Any], bytes, bytes]:
    return _kept(question), b64decode(question["environ"]), b64decode(question["arguments"])


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
    "slow": _slow,
    "slowed": _slowed,
    "renew": _renew,
    "frozen": _frozen,
    "thaw": _thaw,
    "unendable": _unendable,
    "ending": _ending,
    "end": _end,
    "loop": _loop,
    "looping": _looping,
    "ended": _ended,
    "down": _down,
    "start": _start,
}
