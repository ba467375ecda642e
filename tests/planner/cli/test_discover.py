"""``murphy discover``: what it says of what it has found."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.model.system import Dependency, Service, System
from tests.planner.cli.commands import murphy

EDGE = Dependency(caller="front", callee="stock")


@pytest.mark.parametrize("edges", [(), (EDGE,)], ids=["no-calls", "calls"])
def test_where_no_calls_were_seen_it_says_what_to_do(
    edges: tuple[Dependency, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    system = System(name="local", services=(Service(name="front"), Service(name="stock")), dependencies=edges)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("knowledge.topology.live.discover", lambda *_, **__: system)
    monkeypatch.setattr("knowledge.topology.exercise.observe_exercises", lambda found: found)
    assert murphy("discover", "--live", "--window", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ("No calls were seen in 2 s: send traffic, or give a longer --window." in said) is (not edges)
    assert f"2 services, 0 instances, {'1 edge' if edges else '0 edges'}" in said
