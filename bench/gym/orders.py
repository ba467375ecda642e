"""Ways to choose among the same candidates without beliefs: what others do, or would do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from executor.model.plan import EdgeTarget, Experiment, InstanceTarget
from executor.model.system import System
from planner.recipes.paths import upstream

from bench.gym.outcomes import Result  # isort: skip

Run = Callable[[Experiment], Result]
"""Carries one out; called at the moment at which an order spends an experiment."""
Order = Callable[[Sequence[Experiment], System, Run, random.Random], Iterator[tuple[Experiment, Result]]]
POPULATION, GENERATIONS, CROSSED, MUTATED = 10, 20, 0.6, 0.3
"""Of the genetic search: the first two as Krkn-AI has them; each pair is crossed, and each child changed, so often."""


def at_random(
    candidates: Sequence[Experiment], _system: System, run: Run, chance: random.Random
) -> Iterator[tuple[Experiment, Result]]:
    """Without replacement."""
    for experiment in chance.sample(list(candidates), len(candidates)):
        yield experiment, run(experiment)


def exhaustive(
    candidates: Sequence[Experiment], system: System, run: Run, _chance: random.Random
) -> Iterator[tuple[Experiment, Result]]:
    """Place after place as the system lists them, at each every fault."""
    places = {s.name: n for n, s in enumerate(system.services)}
    for experiment in sorted(candidates, key=lambda e: (places[struck(e)], _where(e), e.id)):
        yield experiment, run(experiment)


def spof_first(
    candidates: Sequence[Experiment], system: System, run: Run, _chance: random.Random
) -> Iterator[tuple[Experiment, Result]]:
    """What has one instance and most that stands on it first; what kills before what merely disturbs."""
    above = {s.name: len(upstream(system, s.name)) for s in system.services}
    lone = {s.name: len(s.instances) == 1 for s in system.services}
    severity = ("dead", "stopped", "silent", "refused")

    def key(experiment: Experiment) -> tuple[bool, int, int, str]:
        name = struck(experiment)
        look = experiment.actions[0].fault.looks().value
        rank = severity.index(look) if look in severity else len(severity)
        return not lone[name], -above[name], rank, experiment.id

    for experiment in sorted(candidates, key=key):
        yield experiment, run(experiment)


def chaosrank(
    candidates: Sequence[Experiment], system: System, run: Run, _chance: random.Random
) -> Iterator[tuple[Experiment, Result]]:
    """0.6 × blast radius (half PageRank, half in-degree) + 0.4 × fragility, as ChaosRank's engine has it.

    Its fragility comes from past incidents; of a system without any, what the search has broken so far takes their
    place. At the service of the highest score the next fault is tried that was not tried there yet, and no service is
    tried twice before every other was tried once, as its list has each service once.
    """
    blast = _blast(system)
    left: dict[str, list[Experiment]] = {}
    for experiment in sorted(candidates, key=lambda e: e.id):
        left.setdefault(struck(experiment), []).append(experiment)
    tried = dict.fromkeys(left, 0)
    broke = dict.fromkeys(left, 0)
    while left:
        fewest = min(tried[name] for name in left)
        turn = [name for name in left if tried[name] == fewest]

        def score(name: str) -> float:
            fragility = broke[name] / tried[name] if tried[name] else 0.0
            return 0.6 * blast[name] + 0.4 * fragility

        name = max(sorted(turn), key=score)
        experiment = left[name].pop(0)
        if not left[name]:
            del left[name]
        result = run(experiment)
        tried[name] += 1
        broke[name] += bool(result.broke)
        yield experiment, result


def genetic(
    candidates: Sequence[Experiment], _system: System, run: Run, chance: random.Random
) -> Iterator[tuple[Experiment, Result]]:
    """A search of the kind that Krkn-AI makes: fitness is the harm that was seen, parents are chosen by roulette.

    A scenario is a fault at a target. Two are crossed by giving one's fault to the other's target; one is changed in
    its fault or in its target. A scenario that comes up again is run again, as the search has no other memory.
    """
    by = {(fault(e), _where(e)): e for e in sorted(candidates, key=lambda e: e.id)}
    scenarios = list(by.values())
    population = chance.sample(scenarios, min(POPULATION, len(scenarios)))
    for _ in range(GENERATIONS):
        fitness = []
        for experiment in population:
            result = run(experiment)
            fitness.append(result.risk + 0.01)
            yield experiment, result
        following: list[Experiment] = []
        while len(following) < len(population):
            one, other = chance.choices(population, fitness, k=2)
            if chance.random() < CROSSED:
                one = by.get((fault(one), _where(other))) or by.get((fault(other), _where(one))) or one
            if chance.random() < MUTATED:
                same = [e for e in scenarios if (fault(e) == fault(one)) != (_where(e) == _where(one))]
                one = chance.choice(same or scenarios)
            following.append(one)
        population = following


def struck(experiment: Experiment) -> str:
    """The service that it is about: the struck one, or the one that an edge leads to."""
    target = experiment.actions[0].target
    if isinstance(target, InstanceTarget):
        return target.service
    return target.callee if isinstance(target, EdgeTarget) else target.b[0]


def _where(experiment: Experiment) -> str:
    target = experiment.actions[0].target
    if isinstance(target, InstanceTarget):
        return target.service
    return f"{target.caller}->{target.callee}" if isinstance(target, EdgeTarget) else f"{target.a}|{target.b}"


def fault(experiment: Experiment) -> str:
    """Its fault with all parameters."""
    return experiment.actions[0].fault.model_dump_json()


def _blast(system: System) -> dict[str, float]:
    """Half PageRank, half in-degree of who calls whom, each as a share of the largest."""
    names = [service.name for service in system.services]
    out: dict[str, list[str]] = {name: [] for name in names}
    degree = dict.fromkeys(names, 0)
    for edge in system.dependencies:
        out[edge.caller].append(edge.callee)
        degree[edge.callee] += 1
    rank = _page_rank(out)
    most_rank, most_degree = max(rank.values()), max(1, *degree.values())
    return {name: 0.5 * rank[name] / most_rank + 0.5 * degree[name] / most_degree for name in names}


def _page_rank(out: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """By power iteration, damped by 0.85. Source: S. Brin and L. Page, Computer Networks 30 (1998)."""
    count = len(out)
    rank = dict.fromkeys(out, 1 / count)
    for _ in range(60):
        idle = sum(rank[name] for name, callees in out.items() if not callees)
        following = dict.fromkeys(out, 0.15 / count + 0.85 * idle / count)
        for name, callees in out.items():
            for callee in callees:
                following[callee] += 0.85 * rank[name] / len(callees)
        rank = following
    return rank


ORDERS: dict[str, Order] = {
    "exhaustive": exhaustive,
    "SPOF-first": spof_first,
    "ChaosRank": chaosrank,
    "genetic (Krkn-AI)": genetic,
}
