"""No code path leads from a model, an expert or the engine to a signing key."""

from __future__ import annotations

import grimp
import pytest

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
