"""Anthropic's models, through the official SDK."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from experts.models.client import Reply, Say, Turn, Usage, counted, messages, origin
from experts.models.heard import Heard

if TYPE_CHECKING:
    from anthropic import Anthropic

    from experts.models.wire import Wire

MODEL = "claude-sonnet-5"
_CUT = ("max_tokens", "model_context_window_exceeded")


class AnthropicClient:
    """One model. Version 2 of the SDK takes no temperature, so none is sent."""

    def __init__(
        self,
        model: str = MODEL,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        stream: bool = True,
        bare: bool = False,
    ) -> None:
        """``bare``: the address is none of the provider's own, and gets no header beside the key given here."""
        self.model = f"anthropic/{model}"
        self.endpoint = origin(base_url)
        self.temperature: float | None = None
        self._name = model
        self._base_url = base_url
        self._api_key = api_key
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
        import anthropic

        from experts.models.wire import Wire

        heard = Heard()
        with closing(Wire(anthropic, timeout_s, (self._api_key or "none") if self._bare else None)) as wire:
            with closing(self._pieces(system, turns, schema, tokens_max, heard, wire)) as pieces:
                for piece in pieces:
                    say(piece)
            return heard.reply()

    def _pieces(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], most: int, heard: Heard, wire: Wire
    ) -> Generator[str]:
        import anthropic

        with wire.explained(), self._client(wire) as client:
            done: Any = client.messages.create(
                model=self._name,
                system=system,
                messages=messages(turns),
                max_tokens=most,
                output_config={"format": {"type": "json_schema", "schema": anthropic.transform_schema(schema)}},
                stream=self._stream,
                timeout=wire.timeout,
            )
            if not self._stream:
                for block in done.content or ():
                    yield from heard.hear(block.text if block.type == "text" else None)
                heard.usage = _usage(done.usage)
                heard.end(done.stop_reason, cut=_CUT)
                return
            for event in done:
                if event.type == "message_start":
                    heard.usage = _usage(event.message.usage)
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield from heard.hear(event.delta.text)
                elif event.type == "message_delta":
                    told = event.usage.output_tokens if event.usage else None
                    heard.usage = counted(heard.usage.input_tokens, told) if heard.usage else None
                    heard.end(event.delta.stop_reason, cut=_CUT)

    def _client(self, wire: Wire) -> Anthropic:
        """One for each question, to be closed: a kept one holds its connection until some garbage collection."""
        from anthropic import Anthropic, DefaultHttpxClient

        # what the SDK finds in the environment by itself is for the provider's own address, or one set beside it
        free = self._bare or (self._base_url and not os.environ.get("ANTHROPIC_AUTH_TOKEN"))
        return Anthropic(
            api_key=self._api_key or ("none" if free else None),
            base_url=self._base_url,
            max_retries=0,
            http_client=DefaultHttpxClient(**wire.options),
            open_telemetry=False,
        )


def _usage(usage: Any) -> Usage | None:
    """With what was read from and written to a cache, which is told apart."""
    if not usage:
        return None
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return counted(usage.input_tokens + cached, usage.output_tokens)
