"""How a service fails when it gets more than it can carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from executor.load.window import Window, failures
from executor.measure.intervals import Share

Mode = Literal["none", "latency collapse", "errors", "refusal", "crash", "out of memory", "hang", "inconclusive"]
REQUESTS_MIN = 30
REFUSED: Final = ("refused", "status 429", "status 503")
"""How those fail that are turned away at once."""
_UNANSWERED: Final = ("timeout", "unanswered")


@dataclass(frozen=True)
class Failure:
    """How it fails, and what share of the bad requests failed in which way."""

    mode: Mode
    why: str
    shares: dict[Mode, float] = field(default_factory=dict)


def failure(
    windows: Sequence[Window], good_share: float, *, alive: bool | None = None, out_of_memory: bool = False
) -> Failure:
    """Classify the windows of one overload; ``good_share`` is the promise, 0–1.

    ``alive``: whether its process was there afterwards, ``out_of_memory``: whether the kernel ended it for that, as far
    as is known. In this order: *out of memory*; *crash*: the process is gone; *hang*: nothing at all was answered;
    *refusal*: most bad requests were turned away at once (refused connections, status 429 or 503, RFC 6585 and 9110);
    *errors*: most failed otherwise; *latency collapse*: most were answered too late, or not in time to be waited for.
    ``none``: the promise was kept. "Most" is more than half with the lower end of its 95 % interval; where no one is,
    it is ``inconclusive``.
    """
    due, good = sum(window.due for window in windows), sum(window.good for window in windows)
    if out_of_memory:
        return Failure("out of memory", "the kernel ended it for want of memory")
    if alive is False:
        return Failure("crash", "its process is gone")
    if due < REQUESTS_MIN:
        return Failure("inconclusive", f"{due} requests are too few")
    if Share(due - good, due).high <= 1 - good_share:
        return Failure("none", f"{good} of {due} requests were good")
    if Share(due - good, due).low <= 1 - good_share:
        return Failure("inconclusive", f"{due - good} of {due} requests were bad, which may be within the promise")
    failed = failures(windows)
    answered = sum(window.answered for window in windows)
    told = sum(n for kind, n in failed.items() if kind not in _UNANSWERED)
    if not answered and not told:
        return Failure("hang", "nothing was answered")
    refusal = sum(failed[kind] for kind in REFUSED)
    ways: dict[Mode, int] = {"refusal": refusal, "errors": told - refusal}
    ways["latency collapse"] = max(0, due - good - told)
    bad = sum(ways.values())
    shares = {way: n / bad for way, n in ways.items()}
    most = max(ways, key=lambda way: ways[way])
    words = ", ".join(f"{way} {share:.0%}" for way, share in shares.items() if share)
    if Share(ways[most], bad).low > 0.5:
        return Failure(most, words, shares)
    return Failure("inconclusive", f"no way of failing is that of most: {words}", shares)
