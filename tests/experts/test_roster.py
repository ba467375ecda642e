from __future__ import annotations

import subprocess
import sys

import pytest

from executor.errors import InputError
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
        ("MURPHY_MODEL_CALLS", "-1", "MURPHY_MODEL_CALLS"),
    ],
)
def test_a_mistake_is_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        from_environment()
    assert said in str(caught.value)


def test_a_key_goes_to_its_own_provider_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address named for the experts is asked without the key that is meant for the provider."""
    from experts.brief import Brief

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


def test_no_sdk_is_loaded_before_it_is_asked() -> None:
    code = (
        "import sys; from experts.roster import from_environment; from_environment('openai@http://127.0.0.1:9/v1');"
        "from_environment('anthropic@http://127.0.0.1:9');"
        "print([name for name in ('openai', 'anthropic', 'chromadb', 'sqlalchemy', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
