"""How long a caller is taken to wait, and how an experiment's delay follows from it."""

from __future__ import annotations

import pytest

from executor.model.faults.network import Latency
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from experts.brief import Brief, PastResult
from experts.evaluate import evaluate
from experts.patience import USUAL_MS, patience
from experts.playbook import playbook
from experts.scene import Scene
from tests.experts.systems import library

PLACE = "desk->reviews"


def told(technology: str | None = None, past: tuple[PastResult, ...] = (), **facts: object) -> Scene:
    system = library().model_dump()
    for service in system["services"]:
        if service["name"] == "desk":
            service["technology"] = technology
    for edge in system["dependencies"]:
        if (edge["caller"], edge["callee"]) == ("desk", "reviews"):
            edge.update(facts)
    return Scene(Brief(system=System.model_validate(system), past=past))


def waits(scene: Scene) -> tuple[float, str, bool]:
    edge = scene.view.edge(PLACE)
    assert edge is not None
    found = patience(edge, scene)
    return found.ms, found.why, found.known


def result(verdict: Verdict, delay_ms: int, run: str = "run-1") -> PastResult:
    return PastResult(
        run=run, system="library", experiment="e", weakness=Weakness.MISSING_TIMEOUT, place=PLACE,
        fault=f"network.latency delay_ms={delay_ms}", verdict=verdict, reason="seen",
    )  # fmt: skip


def test_what_is_said_of_the_edge_comes_first() -> None:
    ms, why, known = waits(told("fastapi", (result(Verdict.HOLDS, 3000),), timeout_ms=400.0))
    assert (ms, known) == (400, True)
    assert "said to wait 400 ms" in why


def test_then_what_was_seen() -> None:
    held, broke = result(Verdict.HOLDS, 2000, "run-2"), result(Verdict.BREAKS, 500)
    ms, why, known = waits(told("fastapi", (broke, held)))
    assert known
    assert 400 < ms < 1600, "between what was waited out and what was not"
    assert "run-1, run-2" in why
    assert waits(told("fastapi", (held,)))[0] < 1600
    assert waits(told("fastapi", (broke,)))[0] > 400


@pytest.mark.parametrize(
    ("technology", "ms", "said"),
    [
        ("fastapi", 5000, "HTTPX"),
        ("flask", USUAL_MS, "for ever"),
        ("nodejs", 300_000, "Node"),
        ("go", USUAL_MS, "for ever"),
        ("cobol", USUAL_MS, "nobody knows"),
        (None, USUAL_MS, "nobody knows"),
    ],
)
def test_then_the_default_of_what_it_is_made_with_and_it_is_said_that_this_is_supposed(
    technology: str | None, ms: float, said: str
) -> None:
    found, why, known = waits(told(technology))
    assert (found, known) == (ms, False)
    assert said in why


def test_a_delay_is_so_many_time_outs_and_says_whose() -> None:
    found = evaluate(playbook("performance-engineer"), told(timeout_ms=400.0).brief)
    slow = {p.fault.delay_ms: p for p in found if p.place == PLACE and isinstance(p.fault, Latency)}
    assert 200 in slow
    assert slow[200].concurrency >= 6
    assert "200 ms is 0.5 times its time-out: desk is said to wait 400 ms." in slow[200].rationale


def test_what_would_outlast_every_fault_is_left_to_faults_that_never_end() -> None:
    found = evaluate(playbook("network-engineer"), told("nodejs").brief)
    assert not any(getattr(p.fault, "delay_ms", 0) > 10_000 for p in found)
