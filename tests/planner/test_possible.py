"""What can be done at a place: every fault is asked about at one sort of place."""

from __future__ import annotations

import pytest

from executor.model.faults import SPECS
from executor.model.system import Dependency, Service, System
from planner.possible import possible

SYSTEM = System(
    name="s",
    services=(Service(name="a"), Service(name="b")),
    dependencies=(Dependency(caller="a", callee="b", protocol="http", port=9),),
)


def test_every_kind_is_told_of_at_a_service_or_at_an_edge() -> None:
    at_service, at_edge = possible(SYSTEM, "a"), possible(SYSTEM, "a->b")
    assert at_service.keys() | at_edge.keys() == {spec.named() for spec in SPECS}
    assert not at_service.keys() & at_edge.keys()


@pytest.mark.parametrize("kind", ["network.partition", "network.latency"])
def test_an_edge_that_nothing_intercepts_says_so(kind: str) -> None:
    assert "nothing can intercept a->b" in possible(SYSTEM, "a->b")[kind]
