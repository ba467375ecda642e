from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from executor.errors import InputError
from experts.brief import Brief
from experts.models.offline import OfflineExpert
from experts.models.prompted import PromptedExpert
from experts.playbook import COUNCIL
from experts.roster import council, from_environment
from tests.experts.provider import provider
from tests.experts.systems import library


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MURPHY_EXPERTS", "MURPHY_MODEL", "MURPHY_MODEL_CALLS", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def models() -> list[str]:
    return [expert.model for expert in from_environment()]


def test_without_a_key_everybody_is_offline() -> None:
    assert [expert.name for expert in from_environment()] == list(COUNCIL)
    assert models() == ["offline"] * len(COUNCIL)
    assert all(isinstance(expert, OfflineExpert) for expert in council())


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_key_is_enough(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "k")
    assert all(model.startswith(f"{provider}/") for model in models())
    monkeypatch.setenv("MURPHY_EXPERTS", "offline")
    assert models() == ["offline"] * len(COUNCIL)


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURPHY_EXPERTS", "openai")
    assert [expert.model for expert in from_environment("offline")] == ["offline"] * len(COUNCIL)


def test_each_expert_may_have_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("MURPHY_MODEL", "claude-x")
    monkeypatch.setenv(
        "MURPHY_EXPERTS", "anthropic, historian=offline, data-engineer=openai/llama3.2@http://127.0.0.1:9/v1"
    )
    by_name = {expert.name: expert.model for expert in from_environment()}
    assert by_name["historian"] == "offline"
    assert by_name["data-engineer"] == "openai/llama3.2"
    assert by_name["network-engineer"] == "anthropic/claude-x"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MURPHY_EXPERTS", "gemini", "gemini does not say who answers"),
        ("MURPHY_EXPERTS", "openai", "needs OPENAI_API_KEY"),
        ("MURPHY_EXPERTS", "anthropic", "needs ANTHROPIC_API_KEY"),
        ("MURPHY_EXPERTS", "nobody=offline", "no expert nobody"),
        ("MURPHY_EXPERTS", "offline,openai", "cannot both answer"),
        ("MURPHY_MODEL_CALLS", "many", "MURPHY_MODEL_CALLS"),
        ("MURPHY_MODEL_MONEY", "inf", "MURPHY_MODEL_MONEY"),
        ("MURPHY_MODEL_PRICES", "openai/m=cheap", "openai/m=cheap is no price"),
        ("MURPHY_MODEL_KEYS", "http://h/v1=sk-real", "a key must be said by where it is found"),
        ("MURPHY_MODEL_CALLS", "-1", "MURPHY_MODEL_CALLS"),
    ],
)
def test_a_mistake_is_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        from_environment("openai@http://h/v1" if name.startswith("MURPHY_MODEL_") else None)
    assert said in str(caught.value)
    assert "sk-real" not in str(caught.value)


def test_a_key_goes_to_its_own_provider_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address named for the experts is asked without the key that is meant for the provider."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    with provider(lambda _schema, _told: {"proposals": []}) as server:
        for expert in from_environment(f"offline,historian=openai/m@{server.url('/v1')}"):
            if isinstance(expert, PromptedExpert):
                expert.propose(Brief(system=library()))
        assert len(server.requests) == 1
        assert "sk-real" not in server.texts[0]
        monkeypatch.setenv("OPENAI_BASE_URL", server.url("/v1"))
        from_environment("openai/m")[0].propose(Brief(system=library()))
        assert server.requests[1][1]["authorization"] == "Bearer sk-real"


@pytest.mark.slow
def test_a_named_address_gets_the_key_that_is_named_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n", encoding="utf-8")
    monkeypatch.setenv("VLLM_KEY", "from-a-variable")
    with provider(lambda _schema, _told: {"proposals": []}) as one, provider(lambda _schema, _told: {}) as other:
        keys = f"{one.url('/v1')}=env:VLLM_KEY,{other.url()}=file:{tmp_path / 'key'}"
        monkeypatch.setenv("MURPHY_MODEL_KEYS", keys)
        wanted = f"offline,historian=openai/m@{one.url('/v1')},data-engineer=anthropic/m@{other.url()}"
        for expert in from_environment(wanted):
            expert.propose(Brief(system=library()))
        assert one.requests[0][1]["authorization"] == "Bearer from-a-variable"
        assert other.requests[0][1]["authorization"] == "Bearer from-a-file"


def test_settings_reach_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURPHY_MODEL_ANSWER_TOKENS", "777")
    monkeypatch.setenv("MURPHY_MODEL_TEMPERATURE", "0.25")
    monkeypatch.setenv("MURPHY_MODEL_STREAM", "false")
    monkeypatch.setenv("MURPHY_OPENAI_API", "responses")
    with provider(lambda _schema, _told: {"proposals": []}) as server:
        from_environment(f"openai/m@{server.url('/v1')}")[0].propose(Brief(system=library()))
        ((path, _, body),) = server.requests
    assert path == "/v1/responses"
    assert (body["max_output_tokens"], body["temperature"], body.get("stream")) == (777, 0.25, False)


def test_no_sdk_is_loaded_before_it_is_asked() -> None:
    code = (
        "import sys; from experts.roster import from_environment; from_environment('openai@http://127.0.0.1:9/v1');"
        "from_environment('anthropic@http://127.0.0.1:9');"
        "heavy = ('openai', 'anthropic', 'chromadb', 'sqlalchemy', 'httpx', 'httpx2');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
