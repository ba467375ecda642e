"""OpenAI, and every endpoint that speaks its protocol (Ollama, vLLM, llama.cpp), through the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from experts.models.client import ProviderError, Reply, Turn, refused

if TYPE_CHECKING:
    from openai import OpenAI

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
    ) -> None:
        self.model = f"openai/{model}"
        self.temperature = temperature
        self._name = model
        self._base_url = base_url
        self._api_key = api_key
        self._api = api or ("chat" if base_url else "responses")

    def answer(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], *, timeout_s: float, tokens_max: int
    ) -> Reply:
        """One answer shaped by the schema. Raises ``ProviderError``; never retries by itself."""
        import openai

        ask = self._chat if self._api == "chat" else self._respond
        try:
            reply = ask(system, turns, schema if self._base_url else _strict(schema), timeout_s, tokens_max)
        except openai.APITimeoutError:
            raise ProviderError(f"no answer within {timeout_s:g} s", retry=True) from None
        except openai.APIConnectionError as error:
            raise ProviderError(f"the connection failed ({type(error.__cause__).__name__})", retry=True) from None
        except openai.APIStatusError as error:
            raise refused(error.status_code, error.response.headers) from None
        except (openai.OpenAIError, ValueError) as error:
            raise ProviderError(f"its answer cannot be read ({type(error).__name__})", retry=True) from None
        if not reply.text:
            raise ProviderError("it answered nothing", retry=False)
        return reply

    def _chat(self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], timeout_s: float, most: int) -> Reply:
        messages: list[Any] = [{"role": "system", "content": system}]
        messages += [{"role": turn.role, "content": turn.text} for turn in turns]
        given: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        given["max_tokens" if self._base_url else "max_completion_tokens"] = most
        with self._client() as client:
            done = client.chat.completions.create(
                model=self._name,
                messages=messages,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                },
                timeout=timeout_s,
                **given,
            )
        choices = done.choices or []
        usage = done.usage
        return Reply(
            text=(choices[0].message.content or "") if choices else "",
            input_tokens=usage.prompt_tokens if usage else 0,
            output_tokens=usage.completion_tokens if usage else 0,
            cut=bool(choices) and choices[0].finish_reason == "length",
        )

    def _respond(
        self, system: str, turns: tuple[Turn, ...], schema: dict[str, Any], timeout_s: float, most: int
    ) -> Reply:
        said: list[Any] = [{"role": turn.role, "content": turn.text} for turn in turns]
        given: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        with self._client() as client:
            done = client.responses.create(
                model=self._name,
                instructions=system,
                input=said,
                text={"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}},
                max_output_tokens=most,
                store=False,
                timeout=timeout_s,
                **given,
            )
        usage = done.usage
        return Reply(
            text=done.output_text if done.output else "",
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
            cut=done.status == "incomplete",
        )

    def _client(self) -> OpenAI:
        """One for each question, to be closed: a kept one holds its connection until some garbage collection."""
        from openai import OpenAI

        return OpenAI(api_key=self._api_key or "none", base_url=self._base_url, max_retries=0)


def _strict(schema: Any) -> Any:
    """Without the keywords that OpenAI's strict mode refuses; lengths are checked here anyway."""
    if isinstance(schema, dict):
        return {key: _strict(value) for key, value in schema.items() if key not in _UNSUPPORTED}
    return [_strict(value) for value in schema] if isinstance(schema, list) else schema
