"""The executor that is struck: one run of an approved plan, in a process that may end at any moment."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from executor.errors import MurphyError
from executor.selftest import hooks
from executor.selftest.moments import Boundary, stand_still_at
from executor.selftest.parts import carry_out
from executor.state.home import Home

OWED = 4
INTERRUPTED = 130
_SAID = "said.json"


def said(directory: Path) -> dict[str, Any]:
    """What the executor has said at its end: ``outcome`` and ``owed``, or ``refused``; empty if it was cut off."""
    try:
        answer: dict[str, Any] = json.loads((directory / _SAID).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return answer


@dataclass(frozen=True)
class Orders:
    """How the executor is to be."""

    heeds: bool
    """Signals end it in order, as they do ``murphy run``; else they do what they do to any program."""
    boundary: Boundary | None
    """Where it stands still."""
    environment: Mapping[str, str]
    """Additions, which its children get too."""


def become(directory: Path, home: Path, orders: Orders, events: int) -> NoReturn:
    """In a forked child: carry the run out, say how it ended, and end the process. Never returns.

    Each event of the run is one line on the descriptor ``events``.
    """
    code = 5
    try:
        os.setsid()
        _redirect(directory / "executor.log")
        stop = _heeded() if orders.heeds else _unheeded()
        os.environ.update(orders.environment)
        hooks.heed()
        if orders.boundary is not None:
            stand_still_at(orders.boundary)
        code = _carry_out(directory, home, stop, events)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


def _carry_out(directory: Path, home: Path, stop: threading.Event, events: int) -> int:
    answer: dict[str, Any]
    try:
        evidence = carry_out(
            directory,
            Home.open(home),
            report=lambda event: _tell(events, event.kind.value),
            stop=stop,
        )
        endings = [event.detail for event in evidence.timeline if event.kind.value in ("aborted", "halted")]
        answer = {"outcome": evidence.outcome, "owed": evidence.owed, "endings": endings}
        code = OWED if evidence.owed else 0
    except MurphyError as error:
        answer, code = {"refused": str(error)}, error.exit_code
    (directory / _SAID).write_text(json.dumps(answer), encoding="utf-8")
    return code


def _tell(events: int, kind: str) -> None:
    os.write(events, f"{kind}\n".encode())


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(descriptor, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _heeded() -> threading.Event:
    """As ``murphy run`` does."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


def _unheeded() -> threading.Event:
    """As a program that embeds the engine and does nothing about signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return threading.Event()
