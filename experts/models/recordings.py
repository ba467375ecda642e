"""Questions to models with their raw answers: kept with the session, found again instead of asking twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field

from executor.model.base import Contract, Line
from executor.model.digest import digest
from experts.models.client import ProviderError, Reply, Turn, Usage

ANSWERED = "answered"
INVALID = "invalid"


class Asked(Contract):
    """One question to a model with its raw answer, kept so that a strategy can be replayed and judged."""

    expert: Line
    question: Line
    """``propose``, ``critique`` or ``predict``."""
    model: str
    endpoint: str = ""
    temperature: float | None = None
    prompt_digest: str
    """Of everything the model was told and of the shape it was to answer in, before anything was withheld."""
    raw: str
    """The answer's text as it came, valid or not; empty when there was none."""
    outcome: str
    """``answered``, ``invalid``, or why there was no answer."""
    cut: bool = False
    """Whether it ended for want of tokens."""
    recorded: bool = False
    """Whether an earlier answer was taken instead of asking."""
    input_tokens: Annotated[int, Field(ge=0)] = 0
    """As the provider counted them; where it did not say, as many as it may have been."""
    output_tokens: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0)] = 0

    @property
    def key(self) -> str:
        """Equal for the same question to the same model."""
        return key(self.model, self.endpoint, self.temperature, self.prompt_digest)

    def judged(self, outcome: str) -> Asked:
        """The same with what it came to."""
        return Asked.model_validate({**dict(self), "outcome": outcome})

    @property
    def usage(self) -> Usage:
        """What it was charged for."""
        return Usage(self.input_tokens, self.output_tokens)


def prompt_digest(system: str, turns: Sequence[Turn], schema: dict[str, Any]) -> str:
    """Of a question as a model gets it."""
    return digest({"system": system, "turns": [[turn.role, turn.text] for turn in turns], "schema": schema})


def key(model: str, endpoint: str, temperature: float | None, prompt: str) -> str:
    """Under which a question's answer is found again."""
    return digest({"model": model, "endpoint": endpoint, "temperature": temperature, "prompt": prompt})


class Recordings(Protocol):
    """Where they are kept. Safe to share between threads."""

    replaying: bool
    """Whether nothing may be asked that is not recorded."""

    def find(self, key: str) -> Asked | None:
        """The answer to be used instead of asking; ``None``: ask."""

    def keep(self, asked: Asked) -> None:
        """Keep it before anything else happens."""

    def begun(self) -> Sequence[Asked]:
        """What this session had asked before it was cut short."""


class Unkept:
    """Keeps nothing, and finds nothing."""

    replaying = False

    def find(self, key: str) -> Asked | None:  # noqa: ARG002 - it is asked for any
        """Nothing."""
        return None

    def keep(self, asked: Asked) -> None:
        """Nowhere."""

    def begun(self) -> Sequence[Asked]:
        """Nothing."""
        return ()


class Absent:
    """A model of a session that is replayed: it was asked then, and is not asked now. Needs no key and no SDK."""

    def __init__(self, model: str, endpoint: str = "", temperature: float | None = None) -> None:
        self.model = model
        self.endpoint = endpoint
        self.temperature = temperature

    def answer(self, *_: object, **__: object) -> Reply:
        """Raises ``ProviderError``."""
        raise ProviderError("this answer is not recorded", retry=False)
