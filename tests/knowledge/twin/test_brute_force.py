"""The twin beside the slow way: every world one by one, every request one call after another."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.faults.service import Error, Timeout
from executor.model.vocabulary import Weakness
from knowledge.twin.parameters import BASE_MS_OTHERWISE
from knowledge.twin.twin import Twin
from tests.knowledge.twin.scene import at, check, experiment, nothing_but, system

TIMEOUT_MS = 400.0
BOUND_MS = 1000.0
NEVER = math.inf


def ask(
    name: str, edges: tuple[str, ...], hit: str, fault: Fault, hard: set[str], patient: set[str]
) -> tuple[bool, float]:
    """Whether one request is answered well, and how much later than usual."""
    late_ms = 0.0
    for edge in edges:
        caller, _, callee = edge.partition("->")
        if caller != name:
            continue
        well, extra_ms = ask(callee, edges, hit, fault, hard, patient)
        if edge == hit:
            if isinstance(fault, Error):
                well = False
            else:
                extra_ms += fault.delay_ms if isinstance(fault, Latency) else NEVER
        if edge in patient:
            if extra_ms == NEVER:
                return False, NEVER
        elif BASE_MS_OTHERWISE + extra_ms > TIMEOUT_MS:
            well, extra_ms = False, TIMEOUT_MS
        late_ms += extra_ms
        if not well and edge in hard:
            return False, late_ms
    return True, late_ms


def exactly(edges: tuple[str, ...], hit: str, fault: Fault, chances: dict[tuple[Weakness, str], float]) -> float:
    """P(the root's users are failed or kept waiting), over all worlds."""
    total = 0.0
    for there in itertools.product((False, True), repeat=len(chances)):
        weight = math.prod(p if here else 1 - p for here, p in zip(there, chances.values(), strict=True))
        present = {key for here, key in zip(there, chances, strict=True) if here}
        hard = {place for weakness, place in present if weakness is Weakness.HARD_DEPENDENCY}
        patient = {place for weakness, place in present if weakness is Weakness.MISSING_TIMEOUT}
        well, late_ms = ask("n0", edges, hit, fault, hard, patient)
        total += weight * (not well or BASE_MS_OTHERWISE + late_ms > BOUND_MS)
    return total


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, ...]:
    """Up to four services below a root, each called by one that comes before it, and perhaps by another."""
    edges = []
    for number in range(1, draw(st.integers(2, 4))):
        callers = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2, unique=True))
        edges += [f"n{caller}->n{number}" for caller in callers]
    return tuple(edges)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edges=graphs(),
    fault=st.sampled_from([Error(status=500), Timeout(), Latency(delay_ms=700), Latency(delay_ms=3000)]),
    data=st.data(),
)
def test_it_agrees_with_every_world_counted(edges: tuple[str, ...], fault: Fault, data: st.DataObject) -> None:
    hit = data.draw(st.sampled_from(edges))
    keys = [(weakness, place) for place in edges for weakness in (Weakness.HARD_DEPENDENCY, Weakness.MISSING_TIMEOUT)]
    chances = {key: data.draw(st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)), label=str(key)) for key in keys}
    root = check("n0", needs=())
    # everything else that a caller could do is switched off, so that worlds differ by these weaknesses alone
    tiny = system(edges, (root,), timeout_ms=TIMEOUT_MS, retries=0, breaker=False)
    foreseen = Twin(tiny, nothing_but(tiny, chances)).rehearse(experiment(fault, at(hit), (root,)), worlds=1000)
    assert foreseen.breaks == pytest.approx(exactly(edges, hit, fault, chances), abs=0.05)
