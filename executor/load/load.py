"""Load on an address, from the side of whoever orders it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from executor.errors import InputError, RateNotReachedError, UnavailableError
from executor.kernel import child, process
from executor.load.profile import Segment
from executor.load.request import Request
from executor.load.window import Window

RATE_MAX_RPS = 50_000.0
LONGEST_S = 3600.0
CONCURRENCY_MAX = 10_000
TIMEOUT_MAX_S = 60.0
SENT_MIN = 0.99
"""The share of requests that must have been sent for a rate to count as generated."""
LATE_MAX = 0.05
"""The share of them that may have been late."""
_LEASE_S = 5.0
_POLL_S = 0.02
_SILENT_S = 10.0
"""How long a window may be overdue."""


@dataclass(frozen=True)
class Order:
    """What is to be sent, and how. Raises ``InputError`` where it is beyond what one process is allowed."""

    request: Request
    profile: tuple[Segment, ...]
    good_within_s: float
    """Latency from when a request was due within which its answer is good."""
    timeout_s: float = 10.0
    """How long an answer is waited for."""
    concurrency: int = 1000
    """Requests under way at once, at most; one that is due beyond them is dropped and counted."""
    window_s: float = 0.2
    """Span of time of each record."""
    catch_up_s: float = 1.0
    """A request that the generator is further behind with is skipped and counted."""
    keep_alive: bool = True
    seed: int | None = None
    """``None`` for evenly spaced requests; else they come at random, as those of many users do."""

    def __post_init__(self) -> None:
        """Hold it against the bounds."""
        rates = [rate for each in self.profile for rate in (each.start_rps, each.end_rps)]
        bounds = (
            ("the profile must have a segment", bool(self.profile)),
            (f"rates must be from 0 to {RATE_MAX_RPS:g}/s", all(0 <= rate <= RATE_MAX_RPS for rate in rates)),
            ("a segment must last longer than 0 s", all(each.seconds > 0 for each in self.profile)),
            (f"all must be over within {LONGEST_S:g} s", sum(each.seconds for each in self.profile) <= LONGEST_S),
            (f"concurrency must be from 1 to {CONCURRENCY_MAX}", 1 <= self.concurrency <= CONCURRENCY_MAX),
            (f"the time-out must be at most {TIMEOUT_MAX_S:g} s", 0 < self.timeout_s <= TIMEOUT_MAX_S),
            ("answers must be good within some time, and the time-out", 0 < self.good_within_s <= self.timeout_s),
            ("a window must be from 0.02 to 60 s", 0.02 <= self.window_s <= 60),
        )
        for what, held in bounds:
            if not held:
                raise InputError(f"{what}.", where="load")


class Load:
    """A generator at work for as long as the ``with`` block lasts, at most until its order is done.

    It is a process of its own that ends with this one, and within ``_LEASE_S`` seconds when nobody reads its windows.
    Nothing of it is left after the block but its record, ``scratch/NAME.jsonl``.
    """

    def __init__(self, order: Order, scratch: Path, name: str) -> None:
        """``scratch`` is a directory of the caller's, ``name`` unique in it."""
        self._order = order
        self._deadline = scratch / f"{name}{child.SUFFIX}"
        self._out = scratch / f"{name}.jsonl"

    def __enter__(self) -> Self:
        """Begin. Raises ``UnavailableError`` if the process cannot; nothing is left then."""
        arguments = [str(self._out), json.dumps(dataclasses.asdict(self._order))]
        try:
            self._found = child.spawn("executor.load.helper", arguments, self._deadline, _LEASE_S)
        except UnavailableError:
            child.end(self._deadline)
            raise
        self._renewed = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, if it has not ended."""
        child.end(self._deadline)

    def windows(self) -> Iterator[Window]:
        """Its records as they come, until it is done.

        Raises ``UnavailableError`` if it ended before its time, or stands still.
        """
        for line in self._lines():
            said = json.loads(line)
            if "due" in said:
                yield Window(**said)
            elif "begun" in said:
                self.begun = float(said["begun"])
            elif said["ended"] == "done":
                return
            else:
                break
        raise UnavailableError("the load generator ended before its time.", hint="Was it renewed, and not killed?")

    def _lines(self) -> Iterator[str]:
        """Whole lines of the record, until the process is gone and all are read."""
        part, patience_s = "", self._order.window_s + self._order.good_within_s + _SILENT_S
        heard = time.monotonic()
        with self._out.open(encoding="ascii") as record:
            while True:
                gone = not process.alive(self._found.pid, self._found.start_ticks)
                self._renew()
                while got := record.readline():
                    part += got
                    if part.endswith("\n"):
                        yield part
                        part, heard = "", time.monotonic()
                if gone:
                    return
                if time.monotonic() - heard > patience_s:
                    raise UnavailableError("the load generator stands still.", where=f"process {self._found.pid}")
                time.sleep(_POLL_S)

    def _renew(self) -> None:
        if time.monotonic() - self._renewed > _LEASE_S / 5:
            child.extend(self._deadline, _LEASE_S)
            self._renewed = time.monotonic()


def require_reached(windows: Sequence[Window]) -> None:
    """Raise ``RateNotReachedError`` unless the rate that was due in these windows was really generated.

    A figure "at 5,000 requests/s" is worth nothing when 3,900 were sent, or when they were sent in bursts.
    """
    due, span_s = sum(w.due for w in windows), sum(w.span_s for w in windows)
    if not due:
        return
    dropped, skipped, late = (sum(getattr(w, name) for w in windows) for name in ("dropped", "skipped", "late"))
    lag_ms, busy = max(w.lag_ms for w in windows), sum(w.busy for w in windows) / len(windows)
    wanted = due / span_s
    if skipped > (1 - SENT_MIN) * due or late > LATE_MAX * due:
        on_time = (due - dropped - skipped - late) / span_s
        why = f"{late} were up to {lag_ms:.0f} ms late, {skipped} not sent, and its process took {busy:.0%} of a core"
        hint = "Ask for less, or give this machine more room."
        raise RateNotReachedError(wanted, on_time, "generator", why=why, hint=hint)
    if dropped > (1 - SENT_MIN) * due:
        why = f"{dropped} found as many under way as may be"
        hint = "That is an overload if their number allows for the latency asked for; else allow more of them."
        raise RateNotReachedError(wanted, (due - dropped - skipped) / span_s, "concurrency", why=why, hint=hint)
