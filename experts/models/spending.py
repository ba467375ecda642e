"""What all experts together may spend on models in one session: calls, tokens, money and seconds.

A call is made only if what it may cost at most still fits beside what was spent and what calls under way may cost. So
no limit is passed, however many experts are asked at once; one that finds too little left waits for the others' bills.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from experts.models.client import ProviderError, Usage

LEAST_ANSWER_TOKENS = 400
"""With less left a call is not worth making."""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """What a model costs, in whatever currency the price table is in."""

    input_per_million: float
    output_per_million: float

    def of(self, usage: Usage) -> float:
        """Money for so many tokens."""
        return (usage.input_tokens * self.input_per_million + usage.output_tokens * self.output_per_million) / _MILLION


@dataclass(frozen=True)
class Spent:
    """What a session has spent so far."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    """Of the models whose price is known."""
    seconds: float = 0.0
    """During which at least one expert waited for a model."""
    unpriced: tuple[str, ...] = ()
    """Models that were asked and whose price nobody told, by name."""


@dataclass(frozen=True)
class Reserved:
    """A call that may be made: what it may cost at most."""

    model: str
    most: Usage
    """Its output is what the model may be asked for."""


def tokens_at_most(text: str) -> int:
    """More tokens than any usual tokeniser makes of the text: two ASCII characters each, one byte of anything else.

    Byte-level tokenisers make at most one token of a byte, and of English and JSON in ASCII one of three or four.
    """
    plain = sum(character.isascii() for character in text)
    return plain // 2 + len(text.encode("utf-8", "replace")) - plain + 16


class Budget:
    """Safe to share between threads."""

    def __init__(
        self,
        *,
        calls: int = 60,
        tokens: int = 400_000,
        money: float | None = None,
        seconds: float = 600,
        prices: Mapping[str, Price] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``money``: in the currency of ``prices``, which are by model, globs allowed; ``None``: no limit."""
        self.calls = calls
        self.tokens = tokens
        self.money = money
        self.seconds = seconds
        self._prices = dict(prices or {})
        self._clock = clock
        self._changed = threading.Condition()
        self._calls = 0
        self._used = 0
        self._paid = 0.0
        self._unpriced: dict[str, None] = {}
        self._under_way: list[Reserved] = []
        self._waited = 0.0
        self._waiting = 0
        self._since = 0.0

    def price(self, model: str) -> Price | None:
        """Of the model; ``None`` where nobody told. A name comes before a glob, a longer glob before a shorter."""
        if model in self._prices:
            return self._prices[model]
        fitting = [name for name in self._prices if fnmatchcase(model, name)]
        return self._prices[max(fitting, key=len)] if fitting else None

    def reserve(self, model: str, input_tokens: int, answer_tokens: int) -> Reserved:
        """Leave to make one call, perhaps for a shorter answer than asked for. ``settle`` it, whatever happens.

        Blocks while calls under way may yet leave enough. Raises ``ProviderError`` that says what is spent.
        """
        price = self.price(model)
        if self.money is not None and price is None:
            raise ProviderError(
                f"nobody told what {model} costs, so a limit on money cannot be kept (MURPHY_MODEL_PRICES)", retry=False
            )
        wanted = Usage(input_tokens, answer_tokens)
        with self._changed:
            while not self._fits(wanted, price):
                if not self._under_way or self._calls >= self.calls or not self._seconds_left():
                    wanted = self._shortened(wanted, price)
                    break
                self._changed.wait(min(1.0, max(0.01, self._seconds_left())))  # others' bills may leave enough
            self._calls += 1
            reserved = Reserved(model, wanted)
            self._under_way.append(reserved)
            return reserved

    def settle(self, reserved: Reserved, usage: Usage | None) -> Usage:
        """Book what the call has cost; ``None``: nobody said, so as much as it may have. Returns what was booked."""
        used = reserved.most if usage is None else usage
        with self._changed:
            self._under_way.remove(reserved)
            self._book(reserved.model, used)
            self._changed.notify_all()
        return used

    def resume(self, calls: Iterable[tuple[str, Usage, float]]) -> None:
        """Book what the same session had spent before it was cut short: model, tokens, seconds of each call."""
        with self._changed:
            for model, usage, seconds in calls:
                self._calls += 1
                self._waited += seconds
                self._book(model, usage)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time in here counts as waiting for a model; that of several at once counts once."""
        with self._changed:
            if not self._waiting:
                self._since = self._clock()
            self._waiting += 1
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
                if not self._waiting:
                    self._waited += self._clock() - self._since

    @property
    def seconds_left(self) -> float:
        """Seconds of waiting that are left."""
        with self._changed:
            return self._seconds_left()

    @property
    def spent(self) -> Spent:
        """So far."""
        with self._changed:
            return Spent(self._calls, self._used, self._paid, self._elapsed(), tuple(sorted(self._unpriced)))

    def _elapsed(self) -> float:
        return self._waited + (self._clock() - self._since if self._waiting else 0.0)

    def _seconds_left(self) -> float:
        return max(0.0, self.seconds - self._elapsed())

    def _book(self, model: str, usage: Usage) -> None:
        price = self.price(model)
        self._used += usage.tokens
        if price is not None:
            self._paid += price.of(usage)
        elif usage.tokens:
            self._unpriced[model] = None

    def _left(self) -> tuple[float, float]:
        """(tokens, money) beside what calls under way may cost."""
        mosts = [(self.price(other.model), other.most) for other in self._under_way]
        dear = sum(price.of(most) for price, most in mosts if price)
        tokens = self.tokens - self._used - sum(most.tokens for _, most in mosts)
        return tokens, float("inf") if self.money is None else self.money - self._paid - dear

    def _fits(self, wanted: Usage, price: Price | None) -> bool:
        if self._calls >= self.calls or not self._seconds_left():
            return False
        tokens, money = self._left()
        return wanted.tokens <= tokens and (price is None or price.of(wanted) <= money)

    def _shortened(self, wanted: Usage, price: Price | None) -> Usage:
        """The same question for as long an answer as is left. Raises ``ProviderError`` where that is none."""
        if self._calls >= self.calls:
            raise ProviderError(f"the budget of {self.calls} calls is spent", retry=False)
        if not self._seconds_left():
            raise ProviderError(f"the budget of {self.seconds:g} s of waiting is spent", retry=False)
        tokens, money = self._left()
        least = min(LEAST_ANSWER_TOKENS, wanted.output_tokens)
        output = min(wanted.output_tokens, int(tokens) - wanted.input_tokens)
        if output < least:
            raise ProviderError(f"the budget of {self.tokens} tokens is spent, or too little of it left", retry=False)
        if price is not None and self.money is not None:
            left = money - price.of(Usage(wanted.input_tokens, 0))
            if price.output_per_million:
                output = min(output, int(left * _MILLION / price.output_per_million))
            if left < 0 or output < least:
                raise ProviderError(f"the budget of {self.money:g} is spent, or too little of it left", retry=False)
        return Usage(wanted.input_tokens, output)
