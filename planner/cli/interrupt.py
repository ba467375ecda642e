"""Ctrl-C, a closed terminal or a kill, turned into a request that the run ends itself in order."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that any of these signals sets; the handlers of before are back afterwards.

    The signals do nothing else meanwhile, however often they come: undoing is never cut short. One that is ignored, as
    under ``nohup``, stays ignored. They are heeded by a thread of its own: the main one may stand still, in writing to
    a terminal that nobody reads, for instance. For the main thread only.
    """
    stop = threading.Event()
    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    hear, tell = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(tell, False)
    listener = threading.Thread(target=_listen, args=(hear, frozenset(heeded), stop), daemon=True)
    listener.start()
    before_fd = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _heard) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(tell)
        listener.join(1.0)  # it may be unable to say what it has to say


@contextmanager
def interrupted(doing: str) -> Iterator[None]:
    """The first of these signals raises ``KeyboardInterrupt``, whose cleaning up later ones do not cut short.

    ``doing``: what happens then, in words. One that is ignored stays so. For the main thread only.
    """
    began = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        first = not began.is_set()
        began.set()
        with suppress(OSError, ValueError, RuntimeError):  # nobody reads it, or it was in the midst of saying something
            print(f"\nmurphy: {'' if first else 'still '}{doing}…", file=sys.stderr, flush=True)  # noqa: T201
        if first:
            raise KeyboardInterrupt

    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard(number: int, frame: FrameType | None) -> None:
    """Do nothing: the signal's number is in the pipe already."""


def _listen(hear: int, heeded: frozenset[int], stop: threading.Event) -> None:
    with open(hear, "rb", buffering=0) as numbers:
        while said := numbers.read(64):
            for _ in heeded.intersection(said):
                word = "still undoing everything" if stop.is_set() else "ending: everything is being undone"
                stop.set()
                with suppress(OSError, ValueError):
                    print(f"\nmurphy: {word}…", file=sys.stderr, flush=True)  # noqa: T201
