"""Anthropic's models, through the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experts.models.client import ProviderError, Reply, Turn, refused

if TYPE_CHECKING:
    from anthropic import Anthropic

MODEL = "claude-sonnet-5"


class AnthropicClient:
    """One model. Version 2 of the SDK takes no temperature, so none is sent."""

    def __init__(self, model: str = MODEL, *, base_url: str | None = None, api_key: str | None = None) -> None:
        self.model = f"anthropic/{model}"
        self.temperature: float | None = None
        self._name = model
        self._base_url = base_url
        self._api_key = api_key

    def answer(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], *, timeout_s: float, tokens_max: int
    ) -> Reply:
        """One answer shaped by the schema. Raises ``ProviderError``; never retries by itself."""
        import anthropic

        said: list[Any] = [{"role": turn.role, "content": turn.text} for turn in turns]
        try:
            with self._client() as client:
                done = client.messages.create(
                    model=self._name,
                    system=system,
                    messages=said,
                    max_tokens=tokens_max,
                    output_config={"format": {"type": "json_schema", "schema": anthropic.transform_schema(schema)}},
                    timeout=timeout_s,
                )
        except anthropic.APITimeoutError:
            raise ProviderError(f"no answer within {timeout_s:g} s", retry=True) from None
        except anthropic.APIConnectionError as error:
            raise ProviderError(f"the connection failed ({type(error.__cause__).__name__})", retry=True) from None
        except anthropic.APIStatusError as error:
            raise refused(error.status_code, error.response.headers) from None
        except (anthropic.AnthropicError, ValueError) as error:
            raise ProviderError(f"its answer cannot be read ({type(error).__name__})", retry=True) from None
        text = "".join(block.text for block in done.content or () if block.type == "text")
        if not text:
            raise ProviderError(f"it answered nothing ({done.stop_reason})", retry=False)
        return Reply(
            text=text,
            input_tokens=done.usage.input_tokens if done.usage else 0,
            output_tokens=done.usage.output_tokens if done.usage else 0,
            cut=done.stop_reason == "max_tokens",
        )

    def _client(self) -> Anthropic:
        """One for each question, to be closed: a kept one holds its connection until some garbage collection."""
        from anthropic import Anthropic

        return Anthropic(
            api_key=self._api_key or ("none" if self._base_url else None), base_url=self._base_url, max_retries=0
        )
