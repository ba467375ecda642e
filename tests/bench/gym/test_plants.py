"""Each planted weakness is shown by the fault that it falls to, not by the one that it stands, and by no other system.

Experiments are compiled by the planner and judged by the executor, as in the gym.
"""

from __future__ import annotations

import random
from functools import cache

import pytest

from bench.gym.behaviour import World
from bench.gym.declared import declare
from bench.gym.loop import LIMITS, candidates
from bench.gym.outcomes import Outcomes
from bench.gym.plants import PLANTS, Planted
from bench.gym.seed import council
from bench.gym.simulation import Simulation
from bench.gym.systems import Ground, ground, habits
from bench.gym.topology import clean
from executor.model.faults import Fault
from executor.model.faults.data import CacheFlush
from executor.model.faults.network import Latency, Reset
from executor.model.faults.resource import Connections, CpuThrottle
from executor.model.faults.service import CorruptResponse, Crash, DependencyFailure, Error, Hang, RestartLoop, Timeout
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget, Target
from executor.model.vocabulary import Weakness as Class
from executor.state.home import Home
from experts.brief import Brief
from experts.proposal import Proposal
from planner.compile import compile_candidates
from planner.watch import RATE_MAX_HZ

REFUSE = DependencyFailure(mode="refuse")
SLOW, SILENT, RARE = Latency(delay_ms=3000), Timeout(), Error(status=503, probability=0.15)
MANY = range(1, 40)


@cache
def world_with(name: str) -> tuple[World, World, Planted]:
    """A clean system that has room for the plant, and the same with it."""
    for seed in MANY:
        world = clean("gym-test", services=24, seed=seed)
        places = PLANTS[name].places(world)
        if places:
            place = random.Random(seed).choice(places)
            sick, planted = PLANTS[name].at(world, place)
            return world, sick, planted
    raise AssertionError(f"nowhere is room for {name}")


def broken(world: World, planted: Planted, weakness: Class, place: str, *faults: Fault) -> bool:
    """Whether the experiment with the first fault shows the weakness planted there; others are added to it."""
    system = declare(world, seed=1)
    first, *more = faults
    proposal = Proposal(
        expert="nobody",
        weakness=weakness,
        place=place,
        fault=first,
        target=target(place, first),
        probability=0.5,
        rationale="To see.",
    )
    compiled = compile_candidates([proposal], [], Brief(system=system), limits=LIMITS, weights={})
    assert compiled.experiments, compiled.notes
    (experiment,) = compiled.experiments
    if more:
        (other,) = (o for o in planted_pair(world) if o != place)
        actions = [{**a.model_dump(), "id": f"{a.id}-2", "target": target(other, more[0])} for a in experiment.actions]
        experiment = Experiment.model_validate({**experiment.model_dump(), "actions": (*experiment.actions, *actions)})
    result = Outcomes(Ground(world, system, (planted,))).of(experiment)
    return bool(result.broke & planted.shows_as)


def planted_pair(world: World) -> list[str]:
    (caller,) = (name for name, server in world.servers.items() if server.either)
    return [f"{caller}->{callee}" for callee in world.servers[caller].either]


def target(place: str, fault: Fault) -> Target:
    caller, _, callee = place.partition("->")
    if fault.target_kind == "edge":
        return EdgeTarget(caller=caller, callee=callee)
    return InstanceTarget(service=callee or caller)


@pytest.mark.parametrize(
    ("plant", "weakness", "right", "wrong"),
    [
        ("waits-for-ever", Class.MISSING_TIMEOUT, SLOW, None),
        ("waits-for-ever", Class.RETRY_STORM, None, REFUSE),
        ("waits-for-ever", Class.MISSING_TIMEOUT, SILENT, None),
        ("waits-too-long", Class.MISSING_TIMEOUT, SLOW, None),
        ("ten-retries-behind-a-fallback", Class.MISSING_TIMEOUT, SILENT, None),
        ("ten-retries-behind-a-fallback", Class.HARD_DEPENDENCY, None, REFUSE),
        ("no-fallback", Class.HARD_DEPENDENCY, REFUSE, None),
        ("fallback-skips-404", Class.HARD_DEPENDENCY, Error(status=404), REFUSE),
        ("fallback-skips-errors", Class.HARD_DEPENDENCY, Error(status=500), REFUSE),
        ("parser-outside-the-fallback", Class.HARD_DEPENDENCY, CorruptResponse(), Error(status=500)),
        ("handler-fails-on-refused", Class.HARD_DEPENDENCY, REFUSE, Error(status=500)),
        ("retry-storm", Class.RETRY_STORM, Error(status=503), SLOW),
        ("breaker-counts-errors-only", Class.MISSING_CIRCUIT_BREAKER, SILENT, None),
        ("breaker-never-closes", Class.DOES_NOT_RECONNECT, REFUSE, None),
        ("no-wall", Class.MISSING_BULKHEAD, SLOW, None),
        ("dead-connection-kept", Class.DOES_NOT_RECONNECT, Reset(), None),
        ("single", Class.SINGLE_POINT_OF_FAILURE, Crash(), None),
        ("slow-restart", Class.SLOW_OR_MISSING_RECOVERY, Crash(), None),
        ("supervisor-gives-up", Class.SLOW_OR_MISSING_RECOVERY, RestartLoop(every_s=1, times=3), Crash()),
        ("hung-member-kept", Class.LOAD_BALANCER_KEEPS_DEAD_MEMBER, Hang(), None),
        ("one-try-only", Class.MISSING_RETRY, RARE, None),
        ("thread-for-each-connection", Class.POOL_EXHAUSTION, Connections(count=200), None),
        ("thrashes", Class.CAPACITY_CLIFF, CpuThrottle(quota_percent=20), None),
        ("slow-behind-the-cache", Class.COLD_CACHE_OVERLOAD, CacheFlush(), None),
    ],
)
def test_the_right_fault_shows_it_and_the_wrong_one_does_not(
    plant: str, weakness: Class, right: Fault | None, wrong: Fault | None
) -> None:
    well, sick, planted = world_with(plant)
    if right is not None:
        assert broken(sick, planted, weakness, planted.place, right)
        assert plant == "single" or not broken(well, planted, weakness, planted.place, right), "without it, it holds"
    if wrong is not None:
        assert not broken(sick, planted, weakness, planted.place, wrong)


@pytest.mark.parametrize("plant", ["health-says-it-runs", "sixth-at-once"])
def test_what_is_planted_at_a_service_shows_at_its_calls(plant: str) -> None:
    well, sick, planted = world_with(plant)
    edges = [f"{a}->{b}" for a, b in sick.exercised() if a == planted.place]
    assert edges
    outcomes = [Outcomes(Ground(world, declare(world, seed=1), (planted,))) for world in (sick, well)]
    found, none = ({pair for e in experiments(each, edges) for pair in each.of(e).broke} for each in outcomes)
    assert found & planted.shows_as
    assert not none


def experiments(outcomes: Outcomes, edges: list[str]) -> list[Experiment]:
    proposals = [
        Proposal(
            expert="nobody",
            weakness=weakness,
            place=place if weakness is not Class.DETECTION_BLIND_SPOT else place.partition("->")[0],
            fault=fault,
            target=target(place, fault),
            probability=0.5,
            rationale="To see.",
        )
        for place in sorted(edges)
        for weakness, fault in (
            (Class.DETECTION_BLIND_SPOT, REFUSE),
            (Class.MISSING_BULKHEAD, SLOW),
            (Class.HARD_DEPENDENCY, SILENT),
            (Class.MISSING_CIRCUIT_BREAKER, SILENT),
        )
    ]
    brief = Brief(system=outcomes.ground.system)
    return list(compile_candidates(proposals, [], brief, limits=LIMITS, weights={}).experiments)


def test_each_stands_in_for_the_other_shows_with_both_only() -> None:
    _, sick, planted = world_with("each-stands-in-for-the-other")
    one, other = planted_pair(sick)
    assert not broken(sick, planted, Class.HARD_DEPENDENCY, one, REFUSE)
    assert not broken(sick, planted, Class.HARD_DEPENDENCY, other, REFUSE)
    assert broken(sick, planted, Class.HARD_DEPENDENCY, one, REFUSE, REFUSE)


@pytest.mark.slow
def test_a_clean_twin_never_breaks(tmp_path: object) -> None:
    twin = ground(3, 1, services=20, healthy=True)
    outcomes = Outcomes(twin)
    choice = candidates(outcomes, Home.open(f"{tmp_path}/home"), council())
    drawn = random.Random(1).sample(list(choice), min(len(choice), 60))
    assert {(e.id, pair) for e in drawn for pair in outcomes.of(e).broke} == set()


@pytest.mark.parametrize("family", [1, 2, 3])
def test_a_planted_system_is_well_until_something_is_done_to_it(family: int) -> None:
    here = ground(family, 6, services=24)
    simulation = Simulation(here.world, seed=1)
    said: list[str] = []
    hertz = RATE_MAX_HZ / len(here.world.operations)  # as many requests in all as an experiment sends
    for operation in here.world.operations:
        for k in range(60):
            simulation.events.at(k / hertz, simulation.ask, operation, said.append)
    simulation.events.run(60 / hertz + 3)
    assert len(said) == 60 * len(here.world.operations)
    assert said.count("ok") > 0.995 * len(said)


def test_a_family_has_its_habits_and_each_system_its_own_weaknesses() -> None:
    one, two = (ground(5, number, services=60) for number in (1, 2))
    kinds = {name for name, _ in habits(5)}
    assert kinds & {each.plant for each in one.planted} & {each.plant for each in two.planted}
    assert [each.place for each in one.planted] != [each.place for each in two.planted]
    assert len({each.place for each in one.planted}) == len(one.planted) >= 10
    assert ground(5, 1, services=60) == one, "the same seed, the same system"
