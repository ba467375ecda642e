"""No code path leads from a model, an expert or the engine to a signing key."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

import executor

PRIVATE = ("executor.safety.pem", "executor.safety.signing", "executor.safety.policy")
"""Whoever imports these, directly or through others, can sign."""
MAY = ("planner.cli", "planner.demo", "planner.__main__", "executor.selftest")
"""What a person starts."""


@pytest.mark.parametrize("module", PRIVATE)
def test_only_a_persons_commands_reach_a_signing_key(module: str) -> None:
    graph = grimp.build_graph("executor", "knowledge", "experts", "planner", include_external_packages=False)
    reaching = graph.find_downstream_modules(module) - set(PRIVATE)
    others = sorted(name for name in reaching if not name.startswith(MAY))
    chains = [" -> ".join(graph.find_shortest_chain(name, module) or ()) for name in others]
    assert chains == []
    assert "executor.safety.preflight" in graph.find_downstream_modules("executor.safety.trust")


def test_one_module_alone_can_make_a_signature() -> None:
    root = Path(executor.__file__).parents[1]
    sources = [path for name in ("executor", "knowledge", "experts", "planner") for path in (root / name).rglob("*.py")]
    able = [path.relative_to(root) for path in sources if "PrivateKey" in path.read_text(encoding="utf-8")]
    assert able == [Path("executor/safety/pem.py")]
