"""``murphy plan`` with a model: what it costs is told, and the same plan is made again without asking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.model.system import System
from tests.experts.provider import provider
from tests.planner.cli.commands import murphy, refused
from tests.planner.standing import standing_bazaar
from tests.planner.test_recorded import brain


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with standing_bazaar(tmp_path_factory.mktemp("bazaar")) as found:
        yield found


@pytest.fixture(autouse=True)
def _here(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MURPHY_MODEL_TOKENS", "100000000")
    Path("system.yaml").write_text(system.model_dump_json(), encoding="utf-8")


def planned(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(name).read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key != "id"}


@pytest.mark.slow
def test_a_plan_is_replayed_from_what_models_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with provider(brain) as server:
        monkeypatch.setenv("MURPHY_EXPERTS", f"offline,network-engineer=openai/m@{server.url('/v1')}")
        assert murphy("plan", "--seconds", "200") == 0
        calls = len(server.requests)
    told = capsys.readouterr().err
    assert f"Models: {calls} calls, {calls * 1100:,} tokens" in told
    assert "nobody told what openai/m costs (MURPHY_MODEL_PRICES)" in " ".join(told.split())
    name = json.loads(Path("plan.json").read_text(encoding="utf-8"))["id"]
    assert murphy("plan", "--replay", name, "-o", "again.json") == 0
    assert murphy("plan", "--replay", "plan.json", "-o", "once-more.json", "--json") == 0
    assert planned("again.json") == planned("once-more.json") == planned("plan.json")
    assert f"The same as {name}." in capsys.readouterr().err


@pytest.mark.slow
def test_what_models_cost_is_told_by_the_price_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MURPHY_MODEL_PRICES", "openai/*=1000/1000")
    with provider(brain) as server:
        monkeypatch.setenv("MURPHY_EXPERTS", f"offline,historian=openai/m@{server.url('/v1')}")
        assert murphy("plan", "--seconds", "200") == 0
        calls = len(server.requests)
    assert f"{calls * 1.1:.4g} by MURPHY_MODEL_PRICES" in " ".join(capsys.readouterr().err.split())


def test_what_was_never_planned_here_cannot_be_replayed() -> None:
    assert "no planning session of that name" in refused("plan", "--replay", "plan-000000000000-1")
