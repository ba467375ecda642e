"""Ctrl-C, a closed terminal or a kill, turned into a request that the run ends itself in order."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that any of these signals sets; the handlers of before are back afterwards.

    The signals do nothing else meanwhile, however often they come: undoing is never cut short. One that is ignored, as
    under ``nohup``, stays ignored.
    """
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
        word = "still undoing everything" if stop.is_set() else "ending: everything is being undone"
        print(f"\nmurphy: {word}…", file=sys.stderr, flush=True)  # noqa: T201
        stop.set()

    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
