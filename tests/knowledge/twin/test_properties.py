"""What holds for every system, fault and seed."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.criteria import SteadyState
from executor.model.faults import SPECS, Fault
from executor.model.faults.data import ConnectionFailure
from executor.model.faults.infrastructure import LoadBalancer, Zone
from executor.model.faults.network import ConnectionLimit, Latency, Loss, Partition
from executor.model.faults.resource import IoError
from executor.model.faults.service import Crash, Error, Hang, Overload, Timeout
from executor.model.plan import EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import Weakness
from knowledge.twin.manner import manner
from knowledge.twin.parameters import Parameters
from knowledge.twin.twin import Twin
from tests.knowledge.twin.scene import Believed, at, check, experiment, nothing_but, system
from tests.missing import not_meant

SERVICES = ("a", "b", "c", "d")
PAIRS = [f"{a}->{b}" for a in SERVICES for b in SERVICES]


@st.composite
def systems(draw: st.DrawFn) -> System:
    """Any graph of four services, cycles too, of which much, little or nothing is known."""
    edges = draw(st.lists(st.sampled_from(PAIRS), min_size=1, max_size=8, unique=True))
    names = sorted({end for edge in edges for end in edge.split("->")})
    checks = [
        check(
            name,
            needs=draw(st.none() | st.lists(st.sampled_from(names), unique=True).map(tuple)),
            exercises=draw(st.none() | st.lists(st.sampled_from(edges), unique=True).map(tuple)),
        )
        for name in draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    ]
    treated = {
        "timeout_ms": draw(st.none() | st.sampled_from((100.0, 2000.0))),
        "retries": draw(st.none() | st.integers(0, 5)),
        "breaker": draw(st.none() | st.booleans()),
        "fallback": draw(st.none() | st.booleans()),
    }
    return system(edges, checks, instances={name: draw(st.integers(1, 3)) for name in names}, **treated)


faults = st.sampled_from(
    [Crash(), Hang(), Timeout(), Error(), Error(probability=0.3), Latency(delay_ms=800), Loss(percent=20)]
)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers(each)]
    return [float(value)] if isinstance(value, float) else []


def some_target(fault: Fault, known: System, data: st.DataObject) -> Target:
    if fault.target_kind == "edge":
        edge = data.draw(st.sampled_from(known.dependencies))
        return EdgeTarget(caller=edge.caller, callee=edge.callee)
    return InstanceTarget(service=data.draw(st.sampled_from(known.services)).name)


@settings(max_examples=25, deadline=None)
@given(known=systems(), fault=faults, data=st.data())
def test_probabilities_are_probabilities_and_nothing_is_random(
    known: System, fault: Fault, data: st.DataObject
) -> None:
    checks = [c for s in known.services for c in s.operations]
    made = experiment(fault, some_target(fault, known, data), checks)
    twin = Twin(known)
    one, other = twin.rehearse(made, worlds=40), Twin(known).rehearse(made, worlds=40)
    assert one == other
    shares = numbers([one.breaks, one.cascade, one.containment, one.unplanned, one.touched, one.loss])
    shares += numbers([[asdict(c)["breaks"], c.kept] for c in one.checks])
    shares += numbers([[h.breaks, h.present, min(h.gain_bits, 1.0)] for h in one.hypotheses])
    assert all(0 <= share <= 1 for share in shares)
    assert one.gain_bits >= 0
    assert list(one.unplanned) == sorted(one.unplanned, reverse=True)
    assert not any(math.isnan(number) for number in numbers(asdict(one)["checks"]))


AMPLE = replace(Parameters(), headroom=replace(Parameters().headroom, median=50.0, sigma=0.0))
"""Nothing is overloaded: a caller without a time-out does not try again, and so spares its callee load."""


@settings(max_examples=12, deadline=None)
@given(
    known=systems(),
    fault=st.sampled_from([Timeout(), Error(), Hang(), Crash()]),
    weakness=st.sampled_from(
        [
            Weakness.HARD_DEPENDENCY,
            Weakness.NO_GRACEFUL_DEGRADATION,
            Weakness.MISSING_BULKHEAD,
            Weakness.SINGLE_POINT_OF_FAILURE,
            Weakness.MISSING_TIMEOUT,
        ]
    ),
    data=st.data(),
)
def test_a_weakness_never_makes_it_better(known: System, fault: Fault, weakness: Weakness, data: st.DataObject) -> None:
    checks = [c for s in known.services for c in s.operations]
    made = experiment(fault, some_target(fault, known, data), checks)
    at_services = weakness is Weakness.SINGLE_POINT_OF_FAILURE
    places = [s.name for s in known.services] if at_services else [e.place for e in known.dependencies]
    place = data.draw(st.sampled_from(places))
    usual = {
        (b.weakness, b.place): 0.5 for b in nothing_but(known, {}) if b.weakness is not Weakness.SINGLE_POINT_OF_FAILURE
    }
    found = [
        Twin(known, nothing_but(known, {**usual, (weakness, place): chance}), AMPLE).rehearse(made, worlds=60, seed=1)
        for chance in (0.0, 0.5, 1.0)
    ]
    for less, more in pairwise(found):
        assert more.breaks >= less.breaks - 1e-9
        for mild, bad in zip(less.checks, more.checks, strict=True):
            assert bad.breaks >= mild.breaks - 1e-9


@pytest.mark.parametrize("fault", [Crash(restart="murphy"), Crash(), Hang()])
def test_more_replicas_are_never_worse(fault: Fault) -> None:
    ask = check("root", needs=("root", "mid"), exercises=("root->mid", "mid->leaf"))
    before = 1.0
    for count in (1, 2, 3, 5, 8):
        many = system(("root->mid", "mid->leaf"), (ask,), instances={"mid": count})
        foreseen = Twin(many).rehearse(experiment(fault, at("mid"), (ask,)), seed=7)
        assert foreseen.breaks <= before
        before = foreseen.breaks


def test_the_seed_decides_what_is_drawn() -> None:
    ask = check("root")
    chain = system(("root->mid", "mid->leaf"), (ask,))
    made = experiment(Latency(delay_ms=900), at("mid->leaf"), (ask,))
    twin = Twin(chain)
    assert twin.rehearse(made) == twin.rehearse(made, seed=twin.seed(made))
    assert twin.rehearse(made, seed=1) != twin.rehearse(made, seed=2)
    assert twin.seed(made) != Twin(system(("root->mid",), (ask,))).seed(made)


def test_a_rare_weakness_that_is_asked_about_is_drawn_often_enough_to_be_told_of() -> None:
    ask = check("root", needs=())
    pair = system(("root->leaf",), (ask,), timeout_ms=400, retries=0, breaker=False)
    beliefs = [b for b in nothing_but(pair, {}) if b.weakness is not Weakness.HARD_DEPENDENCY]
    rare = Believed(Weakness.HARD_DEPENDENCY, "root->leaf", 0.01)
    asked = {(Weakness.HARD_DEPENDENCY, "root->leaf"): SteadyState(checks=("ask-root",))}
    outlook = Twin(pair, [*beliefs, rare]).rehearse(experiment(Error(), at("root->leaf"), (ask,), asked)).hypotheses[0]
    assert outlook.present == 0.01
    assert outlook.if_present == pytest.approx(0.95)
    assert outlook.if_absent == pytest.approx(0.02)
    assert outlook.breaks == pytest.approx(0.01 * 0.95 + 0.99 * 0.02, abs=0.003)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.named())
def test_every_fault_can_be_rehearsed(spec: type[Fault]) -> None:
    ask = check("root")
    shop = system(
        ("root->store",),
        (ask,),
        services={"store": {"tables": ("orders",), "directories": ("/data",), "queues": ("work",)}},
    )
    fault = spec.typical(shop.service("store"))
    if fault is None:
        not_meant("it has to be written by hand")
    target: Target = InstanceTarget(service="store")
    if spec.target_kind != "instances":
        edge = spec.target_kind == "edge"
        target = EdgeTarget(caller="root", callee="store") if edge else GroupsTarget(a=("root",), b=("store",))
    done = manner(fault)
    assert 0 <= done.error + done.silent <= 1
    foreseen = Twin(shop).rehearse(experiment(fault, target, (ask,)), worlds=20)
    assert 0 <= foreseen.breaks <= 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Latency(delay_ms=800), {"delay_ms": 800.0}),
        (Latency(delay_ms=800, jitter_ms=300), {"delay_ms": 500.0, "slow_share": 0.5, "slow_ms": 300.0}),
        (Error(probability=0.15), {"error": 0.15}),
        (Timeout(probability=0.4), {"silent": 0.4, "error": 0.0}),
        (Partition(how="reject"), {"error": 1.0}),
        (Partition(how="drop"), {"silent": 1.0}),
        (Overload(rate_rps=200), {"load_per_s": 200.0, "delay_ms": 0.0}),
        (IoError(path="/data"), {"error": 0.0, "odd": 0.3}),
        (ConnectionLimit(max=5), {"error": 0.0, "places": 5}),
        (ConnectionFailure(how="terminate"), {"error": 0.1, "once": True}),
        (ConnectionFailure(), {"error": 1.0, "once": False}),
        (LoadBalancer(how="all_down"), {"error": 1.0}),
        (Zone(zone="z", how="pause"), {"silent": 1.0}),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_sizes_count(fault: Fault, expected: dict[str, float]) -> None:
    done = asdict(manner(fault))
    assert {name: done[name] for name in expected} == expected
