"""What changed since planning, in words."""

from __future__ import annotations

import pytest

from executor.errors import SafetyRefusalError
from executor.model.system import System
from executor.safety.drift import differences, refuse_drift
from tests.executor.safety.examples import PRODUCTION, chain, edge, hang, plan, service, system

PAIR = system(service("a"), service("b"), edges=[edge("a", "b")])


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        (PAIR, []),
        (system(service("a", 2), service("b"), edges=[edge("a", "b")]), ["a changed in instances"]),
        (system(service("a"), edges=[]), ["b is gone", "a->b is gone"]),
        (
            system(service("a", criticality=3, protected=True), service("b"), edges=[edge("a", "b", port=1)]),
            ["a changed in criticality, protected", "a->b changed in port"],
        ),
        (
            system(service("a"), service("b"), edges=[edge("a", "b")], environment=PRODUCTION),
            ["small in development is now small in production"],
        ),
    ],
)
def test_differences(now: System, changed: list[str]) -> None:
    assert list(differences(PAIR, now)) == changed


def test_the_same_system_passes_and_the_wrong_memory_of_it_says_nothing() -> None:
    of = plan(PAIR, hang("a"))
    refuse_drift(of, PAIR)
    with pytest.raises(SafetyRefusalError) as caught:
        refuse_drift(of, chain(2), planned=chain(3))
    assert caught.value.measured == "small is not as it was planned for"
