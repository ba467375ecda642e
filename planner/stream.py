"""What a session does, as typed events in one stream: its steps, what experts say, what a run does, and how it ended.

``Telling`` pushes them to a function, as the command line has it; ``Stream`` is read like a list, as a web page has it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from executor.model.evidence import Event
from experts.models.saying import Said

Result = TypeVar("Result")


@dataclass(frozen=True)
class Stepped:
    """One of the graph's steps goes on."""

    stage: str
    """The node's name."""
    text: str
    """What goes on in it, one line. Some of it was written by a model: escape it."""


Told = Stepped | Said | Event
"""A step, what an expert says as it comes, or a moment of a run."""


class Left(Exception):  # noqa: N818 - no error: nobody listens any more
    """The listener has gone, so planning ends before its next step. Asked for again, it goes on there."""


class Telling:
    """One function for what sessions tell: give ``progress``, ``said`` and ``report`` to ``Session``'s methods.

    The function is called from several threads, one event at a time.
    """

    def __init__(self, tell: Callable[[Told], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self.stop = threading.Event()
        """Set to end a run early, with everything undone."""
        self._left = False

    def leave(self) -> None:
        """Nobody listens any more: end a run in order, and planning before its next step."""
        self.stop.set()
        self._left = True

    def progress(self, stage: str, text: str) -> None:
        """For ``on_progress`` while planning. Raises ``Left`` after ``leave``."""
        if self._left:
            raise Left
        self.step(stage, text)

    def step(self, stage: str, text: str) -> None:
        """For ``on_progress`` of a run, whose learning goes on to its end whoever listens."""
        self._one(Stepped(stage, text))

    def said(self, said: Said) -> None:
        """For ``on_said``."""
        self._one(said)

    def report(self, event: Event) -> None:
        """For ``report``."""
        self._one(event)

    def _one(self, told: Told) -> None:
        with self._lock:
            self._tell(told)


class Stream(AbstractContextManager["Stream[Result]"], Generic[Result]):
    """Does one session's work in a thread, and gives its events as they come; then ``result`` is there.

    ``Stream(lambda tell: Session.begin(…, on_progress=tell.progress, on_said=tell.said))``. Iterate inside ``with``.
    Leaving early stops a run in order, ends planning before its next step, and waits for that: no thread stays.
    """

    def __init__(self, work: Callable[[Telling], Result]) -> None:
        self._events: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self.telling = Telling(self._events.put)
        self._work = work
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="murphy-session")

    def __enter__(self) -> Stream[Result]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.telling.leave()
        self._thread.join()

    def __iter__(self) -> Iterator[Told]:
        """Every event in its order. At the end raises what the work has raised."""
        while (told := self._events.get()) is not None:
            yield told
        if self._error is not None:
            raise self._error

    @property
    def result(self) -> Result:
        """What the work gave, once the stream has ended. Raises ``LookupError`` before that."""
        if not self._result:
            raise LookupError("the stream has not ended")
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self.telling))
        except BaseException as error:  # noqa: BLE001 - it is raised where the events are read
            self._error = error
        finally:
            self._events.put(None)


def as_json(told: Told) -> dict[str, Any]:
    """One event for a program, as JSON types: ``event`` is ``step``, ``says`` or ``run``; the rest are its fields."""
    if isinstance(told, Event):
        return {"event": "run", **told.model_dump(mode="json")}
    return {"event": "step" if isinstance(told, Stepped) else "says", **asdict(told)}
