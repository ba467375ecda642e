"""Who sits on the council, and who answers for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from executor.errors import InputError
from experts.expert import Expert
from experts.models.offline import OfflineExpert
from experts.playbook import COUNCIL
from experts.proposal import OFFLINE

if TYPE_CHECKING:
    from experts.models.client import Client
    from experts.models.recordings import Asked
    from experts.models.sitting import Sitting
    from experts.models.spending import Budget, Spent
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
    from experts.models.sitting import Sitting

    found = settings.load()
    chosen = settings.answerers(experts or found.experts)
    sitting = Sitting(_budget(found), cache=found.model_cache)
    return council(lambda name: _expert(name, chosen[name], found, sitting))


def recorded(seats: Iterable[Sequence[str]], asked: Iterable[Asked]) -> tuple[Expert, ...]:
    """The experts of an earlier session (name, and who answered), by what they asked then; nobody is asked now."""
    from experts.models.prompted import PromptedExpert
    from experts.models.recordings import Absent
    from experts.models.sitting import Sitting

    where = {one.expert: (one.endpoint, one.temperature) for one in asked}
    sitting = Sitting()
    return tuple(
        OfflineExpert(name) if model == OFFLINE else PromptedExpert(name, Absent(model, *where.get(name, ())), sitting)
        for name, model in seats
    )


def spent(experts: Iterable[Expert]) -> str:
    """What the models of these experts have cost, in one sentence; empty where none was asked."""
    from experts.models.prompted import PromptedExpert

    sitting = next((expert.sitting for expert in experts if isinstance(expert, PromptedExpert)), None)
    if sitting is None or not sitting.asked:
        return ""
    total = sitting.budget.spent
    again = sum(asked.recorded for asked in sitting.asked)
    told = f"{total.calls} calls, {total.tokens:,} tokens, {total.seconds:.0f} s of waiting"
    if total.tokens:
        told += f", {_cost(total)}"
    return f"Models: {told}{f'; {again} answers were recorded already' if again else ''}."


def _cost(total: Spent) -> str:
    if not total.unpriced:
        return f"{total.money:.4g} by MURPHY_MODEL_PRICES"
    unknown = f"nobody told what {', '.join(total.unpriced)} costs (MURPHY_MODEL_PRICES)"
    return f"{total.money:.4g} and more: {unknown}" if total.money else unknown


def _budget(settings: ModelSettings) -> Budget:
    from experts.models.spending import Budget
    from experts.settings import prices

    return Budget(
        calls=settings.model_calls,
        tokens=settings.model_tokens,
        money=settings.model_money,
        seconds=settings.model_seconds,
        prices=prices(settings.model_prices),
    )


def _expert(name: str, answerer: Answerer, settings: ModelSettings, sitting: Sitting) -> Expert:
    if answerer.provider == "offline":
        return OfflineExpert(name)
    from experts.models.prompted import PromptedExpert

    return PromptedExpert(
        name,
        _client(answerer, settings),
        sitting,
        call_s=settings.model_call_seconds,
        answer_tokens=settings.model_answer_tokens,
    )


def _key(answerer: Answerer, settings: ModelSettings) -> str | None:
    """A provider's key goes to that provider's own address, never to one that was named for an expert."""
    if not answerer.base_url:
        return os.environ.get(f"{answerer.provider.upper()}_API_KEY") or None
    from executor.secrets import reveal
    from experts.settings import keys

    reference = keys(settings.model_keys).get(answerer.base_url)
    return None if reference is None else reveal(reference)


def _client(answerer: Answerer, settings: ModelSettings) -> Client:
    provider = answerer.provider.upper()
    key = _key(answerer, settings)
    url = answerer.base_url or os.environ.get(f"{provider}_BASE_URL") or None
    if key is None and url is None and not os.environ.get(f"{provider}_AUTH_TOKEN"):
        raise InputError(
            f"{answerer.provider} needs {provider}_API_KEY, or {provider}_BASE_URL for an endpoint without keys.",
            where="MURPHY_EXPERTS",
            hint="Set one of them, or choose offline.",
        )
    model = answerer.model or settings.model
    given: dict[str, Any] = {
        "base_url": url,
        "api_key": key,
        "stream": settings.model_stream,
        "bare": bool(answerer.base_url),
    }
    if answerer.provider == "anthropic":
        from experts.models import anthropic

        return anthropic.AnthropicClient(model or anthropic.MODEL, **given)
    from experts.models import openai

    return openai.OpenAIClient(
        model or openai.MODEL, api=settings.openai_api, temperature=settings.model_temperature, **given
    )
