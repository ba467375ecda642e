"""What the providers have in common: a question goes out; text comes back, or an error that says whether to retry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Turn:
    """One message of the conversation."""

    role: str
    """``user`` or ``assistant``."""
    text: str


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    input_tokens: int
    output_tokens: int
    cut: bool
    """Whether the answer ended for want of tokens."""


class ProviderError(Exception):
    """A provider gave no answer. ``retry``: asking again may help, after ``after_s`` seconds if it said so."""

    def __init__(self, message: str, *, retry: bool, after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry = retry
        self.after_s = after_s


_RETRIED = (408, 409, 429)


def refused(status: int, headers: Mapping[str, str]) -> ProviderError:
    """The error for an answer with an error status. Only the status is told: bodies and headers may hold anything."""
    after = headers.get("retry-after", "")
    try:
        after_s = max(0.0, float(after)) if after else None
    except ValueError:
        after_s = None
    return ProviderError(
        f"it answered with status {status}", retry=status in _RETRIED or status >= 500, after_s=after_s
    )


class Client(Protocol):
    """One model of one provider. The only thing in which the answerers differ."""

    model: str
    """Provider and model, for instance ``openai/gpt-5.4-mini``."""
    temperature: float | None
    """As sent; ``None``: the provider's own."""

    def answer(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], *, timeout_s: float, tokens_max: int
    ) -> Reply:
        """One answer shaped by the JSON Schema. Raises ``ProviderError``; never retries by itself.

        ``timeout_s`` bounds each wait for the server; one that keeps sending is not cut off by it.
        """


@dataclass(frozen=True)
class Asked:
    """One question to a model with its raw answer, kept so that a strategy can be replayed and judged."""

    expert: str
    question: str
    """``propose``, ``critique`` or ``predict``."""
    model: str
    temperature: float | None
    prompt_digest: str
    raw: str
    """The answer's text as it came, valid or not; empty when there was none."""
    outcome: str
    """``answered``, ``invalid``, or why there was no answer."""
    input_tokens: int
    output_tokens: int
    seconds: float


class Budget:
    """What all experts together may spend on models in one session. Safe to share between threads."""

    def __init__(self, *, calls: int = 60, tokens: int = 400_000, seconds: float = 600) -> None:
        self.calls = calls
        self.tokens = tokens
        self.seconds = seconds
        """Waiting for models, seconds, added up over all experts."""
        self._spent = [0, 0, 0.0]
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Take one call. Why there is none left, in words; empty when there is."""
        with self._lock:
            calls, tokens, seconds = self._spent
            if calls >= self.calls:
                return f"the budget of {self.calls} calls is spent"
            if tokens >= self.tokens:
                return f"the budget of {self.tokens} tokens is spent"
            if seconds >= self.seconds:
                return f"the budget of {self.seconds:g} s of waiting is spent"
            self._spent[0] += 1
            return ""

    def spend(self, *, tokens: int, seconds: float) -> None:
        """Book what one call has cost."""
        with self._lock:
            self._spent[1] += tokens
            self._spent[2] += seconds

    @property
    def seconds_left(self) -> float:
        """Seconds of waiting that are left."""
        with self._lock:
            return max(0.0, self.seconds - self._spent[2])

    @property
    def spent(self) -> tuple[int, int, float]:
        """(calls, tokens, seconds) so far."""
        with self._lock:
            return int(self._spent[0]), int(self._spent[1]), float(self._spent[2])
