"""Who answers for the experts, and what that may cost: environment variables, checked once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from executor.errors import InputError
from experts.models.spending import Price
from experts.playbook import COUNCIL

PROVIDERS = ("offline", "openai", "anthropic")
_ANSWERER = re.compile(r"^(?P<provider>offline|openai|anthropic)(/(?P<model>[^@\s]+))?(@(?P<url>https?://\S+))?$")

_PRICE = re.compile(r"(?P<model>\S+)=(?P<input>\d+(\.\d+)?)/(?P<output>\d+(\.\d+)?)")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


class ModelSettings(BaseSettings):
    """``MURPHY_*`` variables about models. Keys and addresses of providers are read under the providers' own names."""

    model_config = SettingsConfigDict(env_prefix="MURPHY_", frozen=True, extra="ignore")

    experts: str = ""
    """``offline``, ``openai`` or ``anthropic``; ``provider/model``; ``provider/model@http://host/v1`` (asked without a
    key); and, after commas, the same for single experts: ``openai,historian=offline``."""
    model: str = ""
    """Model where ``experts`` names none."""
    model_calls: Annotated[int, Field(ge=0)] = 60
    """Calls of one session, all experts together; so are the other limits."""
    model_tokens: Annotated[int, Field(ge=0)] = 400_000
    model_money: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """In the currency of ``model_prices``; unset: no limit."""
    model_prices: str = ""
    """``model=IN/OUT`` per million tokens, after commas more: ``openai/gpt-5.4-mini=0.5/4,anthropic/*=3/15``."""
    model_seconds: Annotated[float, Field(ge=0)] = 600
    """During which at least one expert waits for a model, seconds."""
    model_call_seconds: Annotated[float, Field(gt=0)] = 120
    """Longest wait for one answer, seconds; and longest that a provider may ask to be left alone."""
    model_answer_tokens: Annotated[int, Field(ge=64)] = 16_000
    """Longest answer asked for. Smaller for a model whose context is small."""
    model_temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """For providers that take one; unset: their own."""
    model_keys: str = ""
    """Where keys for addresses named in ``experts`` are found: ``http://host:8000/v1=env:VLLM_KEY``, or ``file:``."""
    model_stream: bool = True
    """Whether answers are shown as they come. ``false`` for an endpoint that cannot."""
    model_cache: bool = True
    """Whether a question that a model has answered well before is not asked again."""
    openai_api: Literal["responses", "chat"] | None = None
    """Unset: the Responses API at OpenAI itself, chat completions wherever an address is named."""


@dataclass(frozen=True)
class Answerer:
    """Who answers for one expert."""

    provider: str
    model: str = ""
    base_url: str = ""


def load() -> ModelSettings:
    """The settings. Raises ``InputError`` naming the variable."""
    try:
        return ModelSettings()
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['msg']}.", where=f"MURPHY_{str(first['loc'][0]).upper()}") from None


def prices(text: str) -> dict[str, Price]:
    """The price table. Raises ``InputError`` for what cannot be understood."""
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _PRICE.fullmatch(part)
        if match is None:
            raise InputError(
                f"{part} is no price.",
                where="MURPHY_MODEL_PRICES",
                hint="Say model=IN/OUT per million tokens, for instance openai/gpt-5.4-mini=0.5/4 or openai/*=0/0.",
            )
        found[match["model"]] = Price(float(match["input"]), float(match["output"]))
    return found


def keys(text: str) -> dict[str, str]:
    """Where the key for each named address is found. Raises ``InputError`` for what cannot be understood."""
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        address, sign, reference = part.rpartition("=")
        if not sign or not _REFERENCE.fullmatch(reference):
            raise InputError(
                "a key must be said by where it is found.",  # what stands there may be the key itself
                where="MURPHY_MODEL_KEYS",
                hint="Say http://host:8000/v1=env:NAME or http://host:8000/v1=file:/PATH.",
            )
        found[address] = reference
    return found


def answerers(wanted: str, environment: Mapping[str, str] | None = None) -> dict[str, Answerer]:
    """Who answers for each expert of the council. Without a wish: the provider whose key is there, else offline.

    Raises ``InputError`` for what cannot be understood.
    """
    found = os.environ if environment is None else environment
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    general = [part for part in parts if not re.match(r"^[a-z-]+=", part)]
    if len(general) > 1:
        raise InputError(f"{' and '.join(general)} cannot both answer for everybody.", where="MURPHY_EXPERTS")
    default = _answerer(general[0]) if general else _by_key(found)
    chosen = dict.fromkeys(COUNCIL, default)
    for part in parts:
        name, given, rest = part.partition("=")
        if given and part not in general:
            if name not in COUNCIL:
                raise InputError(
                    f"there is no expert {name}.", where="MURPHY_EXPERTS", hint=f"There are {', '.join(COUNCIL)}."
                )
            chosen[name] = _answerer(rest)
    return chosen


def _answerer(text: str) -> Answerer:
    match = _ANSWERER.match(text)
    if match is None:
        raise InputError(
            f"{text.partition('@')[0]} does not say who answers.",  # an address may hold a password
            where="MURPHY_EXPERTS",
            hint=f"Say {', '.join(PROVIDERS)}, or for instance openai/llama3.2@http://127.0.0.1:11434/v1.",
        )
    return Answerer(match["provider"], match["model"] or "", match["url"] or "")


def _by_key(environment: Mapping[str, str]) -> Answerer:
    for provider in ("openai", "anthropic"):
        if environment.get(f"{provider.upper()}_API_KEY"):
            return Answerer(provider)
    return Answerer("offline")
