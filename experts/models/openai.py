"""OpenAI, and every endpoint that speaks its protocol (Ollama, vLLM, llama.cpp), through the official SDK."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from experts.models.client import ProviderError, Reply, Say, Turn, counted, messages, origin
from experts.models.heard import Heard

if TYPE_CHECKING:
    from openai import OpenAI

    from experts.models.wire import Wire

MODEL = "gpt-5.4-mini"
Api = Literal["responses", "chat"]
_UNSUPPORTED = ("maxLength",)


class OpenAIClient:
    """One model. Without ``api``: the Responses API at OpenAI itself, chat completions wherever ``base_url`` points."""

    def __init__(
        self,
        model: str = MODEL,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api: Api | None = None,
        temperature: float | None = None,
        stream: bool = True,
        bare: bool = False,
    ) -> None:
        """``bare``: the address is none of the provider's own, and gets no header beside the key given here."""
        self.model = f"openai/{model}"
        self.endpoint = origin(base_url)
        self.temperature = temperature
        self._name = model
        self._base_url = base_url
        self._api_key = api_key or "none"
        self._api = api or ("chat" if base_url else "responses")
        self._stream = stream
        self._bare = bare

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
        """One answer shaped by the schema. Raises ``ProviderError``; never retries by itself."""
        import openai

        from experts.models.wire import Wire

        heard = Heard()
        shape = schema if self._base_url else _strict(schema)
        ask = self._chat if self._api == "chat" else self._respond
        with closing(Wire(openai, timeout_s, self._api_key if self._bare else None)) as wire:
            with closing(ask(system, turns, shape, tokens_max, heard, wire)) as pieces:
                for piece in pieces:
                    say(piece)
            return heard.reply()

    def _chat(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], most: int, heard: Heard, wire: Wire
    ) -> Generator[str]:
        given: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        given["max_tokens" if self._base_url else "max_completion_tokens"] = most
        if self._stream:
            given |= {"stream": True, "stream_options": {"include_usage": True}}
        with wire.explained(), self._client(wire) as client:
            done: Any = client.chat.completions.create(
                model=self._name,
                messages=[{"role": "system", "content": system}, *messages(turns)],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                },
                timeout=wire.timeout,
                **given,
            )
            for chunk in done if self._stream else (done,):
                if chunk.usage:
                    heard.usage = counted(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                for choice in (chunk.choices or ())[:1]:
                    message = choice.delta if self._stream else choice.message
                    heard.declined = heard.declined or bool(message and message.refusal)
                    yield from heard.hear(message.content if message else None)
                    heard.end(choice.finish_reason, cut=("length",), filtered=("content_filter",))

    def _respond(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], most: int, heard: Heard, wire: Wire
    ) -> Generator[str]:
        given: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        with wire.explained(), self._client(wire) as client:
            done: Any = client.responses.create(
                model=self._name,
                instructions=system,
                input=messages(turns),
                text={"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}},
                max_output_tokens=most,
                store=False,
                stream=self._stream,
                timeout=wire.timeout,
                **given,
            )
            if not self._stream:
                yield from heard.hear(done.output_text if done.output else None)
                _ended(done, heard)
                return
            for event in done:
                if event.type == "response.output_text.delta":
                    yield from heard.hear(event.delta)
                elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                    _ended(event.response, heard)
                elif event.type == "error":
                    raise ProviderError("it broke off with an error", retry=True, usage=None)

    def _client(self, wire: Wire) -> OpenAI:
        """One for each question, to be closed: a kept one holds its connection until some garbage collection."""
        from openai import DefaultHttpxClient, OpenAI

        return OpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=0,
            http_client=DefaultHttpxClient(**wire.options),
        )


def _ended(response: Any, heard: Heard) -> None:
    """How an answer of the Responses API ended. Raises ``ProviderError`` where it failed."""
    usage = response.usage
    heard.usage = counted(usage.input_tokens, usage.output_tokens) if usage else None
    if response.status == "failed":
        raise ProviderError("it broke off with an error", retry=True, usage=heard.usage)
    parts = [part for item in response.output or () for part in getattr(item, "content", None) or ()]
    heard.declined = any(part.type == "refusal" for part in parts)
    why = response.incomplete_details.reason if response.incomplete_details else response.status
    heard.end(why, cut=("max_output_tokens",), filtered=("content_filter",))


def _strict(schema: Any) -> Any:
    """Without the keywords that OpenAI's strict mode refuses; lengths are checked here anyway."""
    if isinstance(schema, dict):
        return {key: _strict(value) for key, value in schema.items() if key not in _UNSUPPORTED}
    return [_strict(value) for value in schema] if isinstance(schema, list) else schema
