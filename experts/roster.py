"""Who sits on the council, and who answers for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from executor.errors import InputError
from experts.expert import Expert
from experts.models.offline import OfflineExpert
from experts.playbook import COUNCIL

if TYPE_CHECKING:
    from experts.models.client import Budget, Client
    from experts.settings import Answerer, ModelSettings


def council(answerer: Callable[[str], Expert] = OfflineExpert) -> tuple[Expert, ...]:
    """Every expert of the council, in the order in which they are heard; ``answerer`` makes one from its name."""
    return tuple(answerer(name) for name in COUNCIL)


def from_environment(experts: str | None = None) -> tuple[Expert, ...]:
    """The council as ``experts`` or ``MURPHY_EXPERTS`` says; without either, offline unless a provider's key is there.

    Nothing is asked yet, and no SDK is loaded. Raises ``InputError`` for what cannot be understood, and for a provider
    that has neither a key nor an address.
    """
    from experts import settings
    from experts.models.client import Budget

    found = settings.load()
    chosen = settings.answerers(experts or found.experts)
    budget = Budget(calls=found.model_calls, tokens=found.model_tokens, seconds=found.model_seconds)
    return council(lambda name: _expert(name, chosen[name], found, budget))


def _expert(name: str, answerer: Answerer, settings: ModelSettings, budget: Budget) -> Expert:
    if answerer.provider == "offline":
        return OfflineExpert(name)
    from experts.models.prompted import PromptedExpert

    return PromptedExpert(name, _client(answerer, settings), budget, call_s=settings.model_call_seconds)


def _client(answerer: Answerer, settings: ModelSettings) -> Client:
    provider = answerer.provider.upper()
    # A provider's key goes to that provider's own address, never to one that was named for an expert.
    key = None if answerer.base_url else os.environ.get(f"{provider}_API_KEY") or None
    url = answerer.base_url or os.environ.get(f"{provider}_BASE_URL") or None
    if key is None and url is None and not os.environ.get(f"{provider}_AUTH_TOKEN"):
        raise InputError(
            f"{answerer.provider} needs {provider}_API_KEY, or {provider}_BASE_URL for an endpoint without keys.",
            where="MURPHY_EXPERTS",
            hint="Set one of them, or choose offline.",
        )
    model = answerer.model or settings.model
    if answerer.provider == "anthropic":
        from experts.models import anthropic

        return anthropic.AnthropicClient(model or anthropic.MODEL, base_url=url, api_key=key)
    from experts.models import openai

    return openai.OpenAIClient(
        model or openai.MODEL,
        base_url=url,
        api_key=key,
        api=settings.openai_api,
        temperature=settings.model_temperature,
    )
