"""One question to a model until there is an answer: recorded, or asked within the budget, and again after a failure."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experts.models.client import NOTHING, Client, ProviderError, Reply, Turn, Usage
from experts.models.recordings import ANSWERED, Asked, key
from experts.models.saying import Saying
from experts.models.sitting import Sitting
from experts.models.spending import tokens_at_most

CALL_S = 120.0
ANSWER_TOKENS = 16_000
ATTEMPTS = 3
_BACKOFF_S = 0.5


@dataclass(frozen=True)
class Question:
    """What is asked."""

    expert: str
    name: str
    """``propose``, ``critique`` or ``predict``."""
    system: str
    turns: tuple[Turn, ...]
    schema: dict[str, Any]
    digest: str
    """Under which the answer is recorded."""


class Asker:
    """Asks one model for one expert. Safe to use from one thread at a time; what it shares is in the sitting."""

    def __init__(
        self,
        client: Client,
        sitting: Sitting,
        *,
        call_s: float = CALL_S,
        answer_tokens: int = ANSWER_TOKENS,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        random_source: random.Random | None = None,
    ) -> None:
        """``call_s``: longest wait for one answer, and longest that a provider may ask to be left alone, seconds."""
        self.client = client
        self._sitting = sitting
        self._call_s = call_s
        self._answer_tokens = answer_tokens
        self._attempts = attempts
        self._sleep = sleep
        self._random = random_source or random.Random()

    def ask(self, question: Question) -> tuple[Reply, Asked]:
        """An answer, and the record of it, which is the caller's to keep once he knows what it is worth.

        Failed calls are kept here. Raises ``ProviderError`` that is final.
        """
        client = self.client
        found = self._sitting.find(key(client.model, client.endpoint, client.temperature, question.digest))
        if found is not None:
            return self._again(question, found)
        if self._sitting.replaying:
            raise ProviderError("this answer is not recorded", retry=False)
        with self._sitting.budget.waiting():
            for attempt in range(self._attempts):
                try:
                    return self._once(question)
                except ProviderError as error:
                    if not error.retry or attempt + 1 == self._attempts:
                        raise
                    self._pause(error, attempt)
        raise AssertionError("a last attempt returns or raises")

    def _again(self, question: Question, found: Asked) -> tuple[Reply, Asked]:
        reply = Reply(text=found.raw, usage=NOTHING, cut=found.cut)
        asked = self._record(question, found.outcome, reply, NOTHING, 0.0, recorded=True)
        if not found.raw:
            self._sitting.keep(asked)
            raise ProviderError(found.outcome, retry=False)
        saying = self._saying(question)
        saying(found.raw)
        saying.tell()
        return reply, asked

    def _once(self, question: Question) -> tuple[Reply, Asked]:
        budget = self._sitting.budget
        told = [question.system, *(turn.text for turn in question.turns), json.dumps(question.schema)]
        reserved = budget.reserve(self.client.model, sum(map(tokens_at_most, told)), self._answer_tokens)
        saying = self._saying(question)
        began = time.monotonic()
        used: Usage | None = None
        try:
            reply = self.client.answer(
                question.system,
                question.turns,
                question.schema,
                saying,
                timeout_s=max(0.05, min(self._call_s, budget.seconds_left)),
                tokens_max=reserved.most.output_tokens,
            )
            guess = min(reserved.most.output_tokens, tokens_at_most(reply.text))
            used = reply.usage or Usage(reserved.most.input_tokens, guess)
        except ProviderError as error:
            used = reserved.most if error.usage is None else error.usage
            self._sitting.keep(self._record(question, error.message, None, used, time.monotonic() - began))
            raise
        finally:
            budget.settle(reserved, used)
        saying.tell()
        return reply, self._record(question, ANSWERED, reply, used, time.monotonic() - began)

    def _pause(self, error: ProviderError, attempt: int) -> None:
        """Wait before the next try: full jitter, on top of what the provider asks for.

        Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (full jitter).
        """
        wait_s = self._random.uniform(0, _BACKOFF_S * 2**attempt)
        if error.after_s is not None:
            wait_s += error.after_s
            if error.after_s > self._call_s or wait_s >= self._sitting.budget.seconds_left:
                raise ProviderError(f"{error.message}, to be asked again after {error.after_s:g} s", retry=False)
        self._sleep(min(wait_s, self._sitting.budget.seconds_left))

    def _saying(self, question: Question) -> Saying:
        return Saying(question.expert, self.client.model, question.name, self._sitting.listen)

    def _record(
        self,
        question: Question,
        outcome: str,
        reply: Reply | None,
        used: Usage,
        seconds: float,
        *,
        recorded: bool = False,
    ) -> Asked:
        return Asked(
            expert=question.expert,
            question=question.name,
            model=self.client.model,
            endpoint=self.client.endpoint,
            temperature=self.client.temperature,
            prompt_digest=question.digest,
            raw=reply.text if reply else "",
            cut=reply.cut if reply else False,
            outcome=outcome,
            recorded=recorded,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            seconds=round(seconds, 3),
        )
