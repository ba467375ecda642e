"""The blast radius of everything together, against a reckoning that shares no code with the rules."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.clock import boot_id, own_ticks
from executor.errors import SafetyRefusalError
from executor.model.plan import Action, EdgeTarget, InstanceTarget, Plan
from executor.model.probe import Check
from executor.model.system import System
from executor.safety.limits import BlastRadius, Limits
from executor.safety.radius import most
from executor.safety.reach import reach_of
from executor.safety.rules import joint, refusals
from executor.state.home import Home
from executor.state.journal import Journal, Reach, RunRow
from tests.executor.safety.examples import CHECK, chain, cut, edge, experiment, hang, plan, service, slow, system


@st.composite
def systems(draw: st.DrawFn) -> System:
    names = [f"s{number}" for number in range(draw(st.integers(2, 9)))]
    pairs = draw(st.lists(st.sampled_from([(a, b) for a in names for b in names if a != b]), min_size=1, unique=True))
    used = st.none() | st.lists(st.sampled_from([f"{a}->{b}" for a, b in pairs]), max_size=2).map(tuple)
    services = [
        service(
            name,
            draw(st.integers(1, 4)),
            protected=draw(st.integers(0, 5)) == 5,
            operations=tuple(
                Check(id=f"{name}-{number}", service=name, probe=CHECK.probe, exercises=draw(used), weight=number + 1)
                for number in range(draw(st.integers(0, 2)))
            ),
        )
        for name in names
    ]
    return system(*services, edges=[edge(a, b) for a, b in pairs])


@st.composite
def actions(draw: st.DrawFn, of: System, name: str) -> Action:
    timing = {"id": name, "start_s": draw(st.integers(0, 3)), "duration_s": draw(st.integers(1, 3))}
    kind = draw(st.integers(0, 2))
    if kind == 0:
        chosen = draw(st.sampled_from(of.services))
        return hang(chosen.name, count=draw(st.integers(1, len(chosen.instances))), **timing)
    struck = draw(st.sampled_from(of.dependencies))
    if kind == 1:
        return slow(struck.caller, struck.callee, **timing)
    more = draw(st.lists(st.sampled_from([each.name for each in of.services]), max_size=2))
    return cut([struck.caller, *more], [struck.callee], **timing)


@st.composite
def plans(draw: st.DrawFn, of: System, most: int) -> Plan:
    """Up to ``most`` stages of as many experiments of as many actions."""
    number = st.integers(1, most)
    stages = [
        [
            experiment(
                *(draw(actions(of, f"a{stage}-{side}-{count}")) for count in range(draw(number))),
                name=f"e{stage}-{side}",
            )
            for side in range(draw(number))
        ]
        for stage in range(draw(number))
    ]
    return plan(of, *stages)


@st.composite
def situations(draw: st.DrawFn) -> tuple[System, Limits, list[Plan]]:
    of = draw(systems())
    shares = st.sampled_from([1, 10, 30, 50, 100])
    limits = Limits(
        blast_radius=BlastRadius(
            instances_percent=draw(shares), services_percent=draw(shares), traffic_percent=draw(shares)
        ),
        concurrent_runs_max=draw(st.integers(1, 4)),
        concurrent_faults_max=draw(st.integers(1, 6)),
    )
    few_or_many = draw(st.integers(1, 2))  # simple plans are admitted together often enough to fill the limits
    return of, limits, draw(st.lists(plans(of, few_or_many), min_size=3 - few_or_many, max_size=4))


Struck = tuple[frozenset[str], frozenset[str], int]


def _strikes(action: Action, of: System) -> Struck:
    """Instances, services and faults of one action, reckoned anew."""
    target = action.target
    if isinstance(target, InstanceTarget):
        ids = sorted(each.id for each in of.service(target.service).instances)[: target.count]
        return frozenset(ids), frozenset([target.service]), len(ids)
    if isinstance(target, EdgeTarget):
        callers = {target.caller}
    else:
        sides = ({*target.a}, {*target.b})
        callers = {
            d.caller for d in of.dependencies for a, b in (sides, sides[::-1]) if d.caller in a and d.callee in b
        }
    ids = [each.id for name in callers for each in of.service(name).instances]
    return frozenset(ids), frozenset(callers), 1


def _lost(actions: list[Action], of: System) -> float:
    """Percent of what users do that passes over what is struck: operations, or services that nobody calls."""
    killed = [_strikes(action, of)[0] for action in actions if isinstance(action.target, InstanceTarget)]
    instances = frozenset().union(*killed)
    cuts = {(d.caller, d.callee) for d in of.dependencies for a in actions if _cut(a, d.caller, d.callee)}
    tasks = [(c.weight, each.name, c.exercises) for each in of.services for c in each.operations]
    uncalled = {each.name for each in of.services} - {d.callee for d in of.dependencies}
    tasks = tasks or [(1, name, None) for name in (uncalled or {each.name for each in of.services})]
    total = lost = 0.0
    for weight, name, exercises in tasks:
        edges = {(d.caller, d.callee) for d in of.dependencies}
        edges = edges if exercises is None else {tuple(place.split("->")) for place in exercises}  # type: ignore[misc]
        used = {name}
        while exercises is None and (more := {b for a, b in edges if a in used} - used):
            used |= more
        if exercises is None:
            edges = {(a, b) for a, b in edges if a in used}
        used |= {end for pair in edges for end in pair}
        share = float(len(edges & cuts))
        for each in of.services:
            if each.name in used:
                share += len({i.id for i in each.instances} & instances) / len(each.instances)
        total, lost = total + weight, lost + weight * min(1.0, share)
    return 100 * lost / total


def _cut(action: Action, caller: str, callee: str) -> bool:
    if isinstance(action.target, InstanceTarget):
        return False
    if isinstance(action.target, EdgeTarget):
        return (action.target.caller, action.target.callee) == (caller, callee)
    a, b = {*action.target.a}, {*action.target.b}
    return (caller in a and callee in b) or (caller in b and callee in a)


def _moments(of: Plan) -> Iterator[list[Action]]:
    """Every set of actions that a run of the plan may have going at one moment."""
    for stage in of.stages:
        beside = []
        for each in stage.experiments:
            times = [tick / 2 for tick in range(13)]
            beside.append([[a for a in each.actions if a.start_s <= t <= a.start_s + a.duration_s] for t in times])
        for together in product(*beside):
            yield [action for some in together for action in some]


@given(situations())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_runs_together_stays_within_the_limits(situation: tuple[System, Limits, list[Plan]]) -> None:
    of, limits, wanted = situation
    running: list[RunRow] = []
    admitted: list[Plan] = []
    for number, each in enumerate(wanted):
        try:
            if refusals(each, of, limits):
                continue
            joint(reach_of(each, of), running, of, limits)
        except SafetyRefusalError:
            continue
        admitted.append(each)
        running.append(RunRow(f"run-{number}", os.getpid(), own_ticks(), boot_id(), reach_of(each, of)))
    assert len(admitted) <= limits.concurrent_runs_max
    protected = {each.name for each in of.services if each.protected}
    total = sum(len(each.instances) for each in of.services)
    allowed_instances = max(1, math.floor(total * limits.blast_radius.instances_percent / 100))
    allowed_services = max(1, math.floor(len(of.services) * limits.blast_radius.services_percent / 100))
    for together in product(*({tuple(moment) for moment in _moments(each)} for each in admitted)):
        struck = [_strikes(action, of) for some in together for action in some]
        instances = frozenset().union(*(ids for ids, _, _ in struck))
        services = frozenset().union(*(names for _, names, _ in struck))
        faults = sum(count for _, _, count in struck)
        assert not services & protected
        assert faults <= limits.concurrent_faults_max
        if faults > 1:  # one fault on one instance or one edge is always allowed
            assert len(instances) <= allowed_instances
            assert (
                _lost([action for some in together for action in some], of)
                <= limits.blast_radius.traffic_percent + 1e-6
            )
        if faults > 1 or len(services) > 1:
            assert len(services) <= allowed_services


@pytest.mark.parametrize(
    ("percent", "total", "allowed"),
    [(10, 9, 1), (10, 10, 1), (10, 19, 1), (10, 20, 2), (30, 10, 3), (1, 1, 1), (100, 7, 7)],
)
def test_a_share_is_rounded_down_and_is_at_least_one(percent: float, total: int, allowed: int) -> None:
    assert most(percent, total) == allowed


HALF = Limits(
    blast_radius=BlastRadius(instances_percent=50, services_percent=50, traffic_percent=50),
    concurrent_runs_max=3,
    concurrent_faults_max=3,
)
TEN = chain()


def row(*names: str, pid: int | None = None, traffic: float = 0) -> RunRow:
    reach = Reach(len(names), len(names), len(names), tuple(f"{name}-1" for name in names), traffic)
    return RunRow("run-" + "-".join(names), pid or os.getpid(), own_ticks(), boot_id(), reach)


@pytest.mark.parametrize(
    ("limits", "running", "message"),
    [
        (
            Limits(),
            [row("s5")],
            "refused by concurrent runs: there is run-s5 under way, and the limit is 1 at a time. Wait for its end.",
        ),
        (
            HALF,
            [row("s5"), row("s1")],
            "refused by overlapping targets: run-s1 works on s1-1, and the limit is one run on a target. "
            "Wait for its end.",
        ),
        (
            HALF,
            [row("s4", "s5"), row("s6")],
            "refused by concurrent faults: together with run-s4-s5, run-s6 it would be 4 at once, and the limit is 3 "
            "faults at once. Wait for its end.",
        ),
        (
            HALF,
            [row("s4", "s5", "s6", "s7", "s8")],
            "refused by blast radius: together with run-s4-s5-s6-s7-s8 it would be 6 at once, and the limit is 5 of 10 "
            "instances (50 %, at least one). Wait for its end.",
        ),
        (
            Limits(blast_radius=BlastRadius(instances_percent=50), concurrent_runs_max=2),
            [row("s5")],
            "refused by blast radius: together with run-s5 it would be 2 at once, and the limit is 1 of 10 services "
            "(10 %, at least one). Wait for its end.",
        ),
    ],
)
def test_what_other_runs_do_counts(limits: Limits, running: list[RunRow], message: str) -> None:
    with pytest.raises(SafetyRefusalError) as caught:
        joint(reach_of(plan(TEN, hang("s1")), TEN), running, TEN, limits)
    assert str(caught.value) == message


def test_no_run_strikes_what_another_depends_on() -> None:
    of = system(*map(service, "abcd"), edges=[edge("a", "b"), edge("b", "c"), edge("d", "c")])
    wide = BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100)
    limits = Limits(blast_radius=wide, concurrent_runs_max=2)

    def beside(one: Action, other: Action) -> None:
        running = RunRow("run-1", os.getpid(), own_ticks(), boot_id(), reach_of(plan(of, one), of))
        joint(reach_of(plan(of, other), of), [running], of, limits)

    for one, other in ((hang("a"), hang("c")), (hang("c"), hang("a")), (slow("a", "b"), hang("c"))):
        with pytest.raises(SafetyRefusalError) as caught:
            beside(one, other)
        assert str(caught.value) == (
            "refused by shared dependencies: this run and run-1: one strikes c, on which the other depends, and the "
            "limit is runs that cannot feel each other. Wait for its end."
        )
    beside(hang("a"), hang("d"))  # both depend on c, which nobody strikes


def test_a_run_whose_executor_died_counts_until_it_is_recovered() -> None:
    with pytest.raises(SafetyRefusalError, match="murphy recover ends it"):
        joint(reach_of(plan(TEN, hang("s1")), TEN), [row("s5", pid=2**22 - 1)], TEN, Limits())


def test_the_journal_admits_only_what_fits_beside_the_others(tmp_path: Path) -> None:
    journal = Journal(Home.open(tmp_path).journal)

    def admit(name: str) -> None:
        reach = reach_of(plan(TEN, hang(name)), TEN)
        journal.admit(
            f"run-{name}",
            nonce=name,
            plan_digest="sha256:" + "0" * 64,
            environment="development",
            reach=reach,
            check=lambda running: joint(reach, running, TEN, Limits(concurrent_runs_max=5)),
            detail={},
        )

    try:
        admit("s1")
        with pytest.raises(SafetyRefusalError, match="blast radius"):
            admit("s2")
        assert journal.used("s2") == ()
        journal.finish("run-s1", "completed")
        admit("s2")
    finally:
        journal.close()
