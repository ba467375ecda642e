"""What the providers have in common: a question goes out; text comes back, or an error that says whether to retry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

Say = Callable[[str], None]
"""Gets each piece of an answer's text as it comes."""


@dataclass(frozen=True)
class Turn:
    """One message of the conversation."""

    role: str
    """``user`` or ``assistant``."""
    text: str


def messages(turns: Iterable[Turn]) -> list[Any]:
    """The conversation as every provider takes it."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


@dataclass(frozen=True)
class Usage:
    """What one call was charged for, as the provider counted it."""

    input_tokens: int
    output_tokens: int
    """What the model thought without saying it among them."""

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


NOTHING = Usage(0, 0)


def counted(input_tokens: object, output_tokens: object) -> Usage | None:
    """Usage as a provider tells it; ``None`` for what cannot be: a bill below nothing would be money to spend."""
    if not isinstance(input_tokens, int) or not isinstance(output_tokens, int) or min(input_tokens, output_tokens) < 0:
        return None
    return Usage(input_tokens, output_tokens)


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    usage: Usage | None
    """``None``: the provider did not say."""
    cut: bool
    """Whether the answer ended for want of tokens."""


class ProviderError(Exception):
    """A provider gave no answer. ``retry``: asking again may help, after ``after_s`` seconds if it said so.

    ``usage`` is what it said it charges; ``None`` where it may have worked on the question and did not say.
    """

    def __init__(
        self, message: str, *, retry: bool, after_s: float | None = None, usage: Usage | None = NOTHING
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry = retry
        self.after_s = after_s
        self.usage = usage


_RETRIED = (408, 409, 425, 429)


def refused(status: int, headers: Mapping[str, str]) -> ProviderError:
    """The error for an answer with an error status. Only the status is told: bodies and headers may hold anything."""
    return ProviderError(
        f"it answered with status {status}", retry=status in _RETRIED or status >= 500, after_s=retry_after(headers)
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds after which the provider wants to be asked again; ``None`` where it says nothing that can be read.

    Source: RFC 9110, section 10.2.3 (seconds or a date); ``retry-after-ms`` is what OpenAI's SDK reads first.
    """
    for name, seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            found = float(headers.get(name, "")) * seconds
        except ValueError:
            continue
        if 0 <= found < float("inf"):
            return found
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def origin(url: str | None) -> str:
    """``scheme://host:port`` of an address: no path, and no password that may stand in it."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else ""


class Client(Protocol):
    """One model of one provider. The only thing in which the answerers differ."""

    model: str
    """Provider and model, for instance ``openai/gpt-5.4-mini``."""
    endpoint: str
    """Where it is asked, ``scheme://host:port``; empty: at the provider's own address."""
    temperature: float | None
    """As sent; ``None``: the provider's own."""

    def answer(
        self,
        system: str,
        turns: tuple[Turn, ...],
        schema: dict[str, Any],
        say: Say,
        *,
        timeout_s: float,
        tokens_max: int,
    ) -> Reply:
        """One answer shaped by the JSON Schema. Raises ``ProviderError``; never retries by itself.

        ``timeout_s`` bounds the whole call, however steadily the server sends. ``say`` gets the text as it comes, where
        the client streams.
        """
