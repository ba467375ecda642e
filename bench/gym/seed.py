"""All that is measured with one seed: every search on one system, its clean twin, and the rest of its family."""

from __future__ import annotations

import ctypes
import logging
import random
import signal
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.gym.loop import candidates, train
from bench.gym.nobody import Nobody
from bench.gym.orders import ORDERS, at_random
from bench.gym.outcomes import Outcomes, Result
from bench.gym.score import Score, expected_first, fewest, score, wanted
from bench.gym.systems import Ground, ground
from executor.model.plan import Experiment
from executor.state.home import Home
from experts.models.offline import OfflineExpert
from experts.playbook import COUNCIL

OURS = "Murphy"
WITHOUT_EXPERTS = "Murphy without experts"
RANDOM = "random"
LEAST = 24
"""Experiments that a search may spend in the smallest system."""


@dataclass(frozen=True)
class Options:
    """What one seed does."""

    services: int = 60
    budget: int = 0
    """Experiments that each search may spend; 0: a quarter of the candidates."""
    twin: int = 24
    """And on the clean twin."""
    lesson: int = 12
    """And on each system of the family between the first and the last."""
    systems: int = 6
    """Of the family, one after another; the last of them is planned for with and without memory of the others."""
    orders: int = 400
    """Random orders of the same candidates, whose mean counts."""


def measure(seed: int, options: Options) -> dict[str, Any]:
    """Everything of one seed, as JSON has it."""
    logging.disable(logging.WARNING)
    began = time.monotonic()
    here = ground(seed, 1, services=options.services)
    outcomes = Outcomes(here)
    with _home() as home:
        choice = candidates(outcomes, home, council())
        options = replace(options, budget=options.budget or max(LEAST, len(choice) // 4))
        told = {experiment.id: outcomes.of(experiment) for experiment in choice}
        findable = {n for result in told.values() for pair in result.broke for n in here.found(pair)}
        telling = {e.id: sorted({n for p in told[e.id].broke for n in here.found(p)}) for e in choice}
        searches = dict(_ordered(choice, here, outcomes, options, seed))
        mine, curve = _family(home, here, outcomes, seed, options)
        searches[OURS] = mine
    with _home() as home:
        done = train(outcomes, home, [Nobody()], budget=options.budget)
        searches[WITHOUT_EXPERTS] = _scored(done.experiments, here)
    findable |= {n for each in searches.values() for n in each.found}
    return {
        "seed": seed,
        "services": len(here.system.services),
        "edges": len(here.system.dependencies),
        "candidates": len(choice),
        "budget": options.budget,
        "planted": [f"{each.plant} at {each.place}" for each in here.planted],
        "findable": sorted(findable),
        "telling": {name: numbers for name, numbers in telling.items() if numbers},
        "fewest": fewest(telling.values(), wanted(len(findable))),
        "searches": {name: _told(each, options, len(findable)) for name, each in searches.items()},
        "random": _at_random(choice, told, here, len(findable), options, seed),
        "twin": _twin(seed, options),
        "false_of_all": sorted(f for each in searches.values() for f in each.false_pairs),
        "family": curve,
        "seconds": time.monotonic() - began,
    }


def end_with_us() -> None:
    """No worker outlives the program that started it, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def council() -> list[OfflineExpert]:
    """All experts, with no model."""
    return [OfflineExpert(name) for name in COUNCIL]


@contextmanager
def _home() -> Any:
    with tempfile.TemporaryDirectory(prefix="murphy-gym-") as directory:
        yield Home.open(Path(directory) / "home")


def _ordered(
    choice: Sequence[Experiment], here: Ground, outcomes: Outcomes, options: Options, seed: int
) -> Iterable[tuple[str, Score]]:
    for name, order in ORDERS.items():
        steps = []
        for experiment, result in order(choice, here.system, outcomes.of, random.Random(seed)):
            steps.append((experiment, result))
        yield name, _scored(steps, here)
    del options


def _scored(steps: Iterable[tuple[Experiment, Result]], here: Ground) -> Score:
    return score(((experiment.id, result) for experiment, result in steps), here)


def _told(each: Score, options: Options, findable: int) -> dict[str, Any]:
    within = [at for at in each.found_at if at <= options.budget]
    return {
        **asdict(each),
        "brier": fmean(each.brier) if each.brier else None,
        "first": each.to(1),
        "to_share": each.to(wanted(findable)),
        "to_share_of_planted": each.to(wanted(each.planted)),
        "area": each.area(options.budget, findable),
        "recall": len(within) / max(1, each.planted),
        "recall_of_findable": len(within) / max(1, findable),
    }


def _at_random(
    choice: Sequence[Experiment],
    told: dict[str, Result],
    here: Ground,
    findable: int,
    options: Options,
    seed: int,
) -> dict[str, Any]:
    """Means over many orders; and the first one also by the closed form."""
    chance = random.Random(seed)
    runs = [_scored(at_random(choice, here.system, lambda e: told[e.id], chance), here) for _ in range(options.orders)]
    worst = len(choice) + 1
    telling = sum(any(here.found(pair) for pair in result.broke) for result in told.values())
    return {
        "first": fmean(each.to(1) or worst for each in runs),
        "first_by_formula": expected_first(len(choice), telling),
        "telling": telling,
        "to_share": fmean(each.to(wanted(findable)) or worst for each in runs),
        "to_k": [fmean(each.to(k + 1) or worst for each in runs) for k in range(findable)],
        "area": fmean(each.area(options.budget, findable) for each in runs),
        "recall": fmean(each.recall(options.budget) for each in runs),
        "recall_of_findable": fmean(each.recall(options.budget) * each.planted / max(1, findable) for each in runs),
        "risk_per_experiment": fmean(result.risk for result in told.values()),
        "true": runs[0].true,
        "false": runs[0].false,
    }


def _twin(seed: int, options: Options) -> dict[str, Any]:
    """What is found where there is nothing: by our own search, and by experiments drawn from all candidates."""
    twin = ground(seed, 1, services=options.services, healthy=True)
    outcomes = Outcomes(twin)
    with _home() as home:
        choice = candidates(outcomes, home, council())
        mine = _scored(train(outcomes, home, council(), budget=options.twin).experiments, twin)
    drawn = random.Random(seed).sample(list(choice), min(options.twin, len(choice)))
    other = _scored([(experiment, outcomes.of(experiment)) for experiment in drawn], twin)
    return {
        "experiments": mine.experiments,
        "false": mine.false,
        "false_pairs": mine.false_pairs,
        "drawn": other.experiments,
        "drawn_false": other.false,
        "drawn_false_pairs": other.false_pairs,
    }


def _family(
    home: Home, here: Ground, outcomes: Outcomes, seed: int, options: Options
) -> tuple[Score, list[dict[str, Any]]]:
    """Our own search, system after system with one memory; on the third and on the last also with none."""
    curve = []
    first = None
    for number in range(1, options.systems + 1):
        if number > 1:
            here = ground(seed, number, services=options.services)
            outcomes = Outcomes(here)
        budget = options.budget if number in (1, options.systems) else options.lesson
        done = train(outcomes, home, council(), budget=budget)
        mine = _scored(done.experiments, here)
        first = first or mine
        told: dict[str, Any] = {
            "system": number,
            "why": done.why,
            "with": mine.found_at,
            "experiments": mine.experiments,
            "true": mine.true,
            "false": mine.false,
            "false_pairs": mine.false_pairs,
            "planted": mine.planted,
            "brier": fmean(mine.brier) if mine.brier else None,
        }
        if number > 1 and number in (3, options.systems):
            with _home() as fresh:
                alone = _scored(train(outcomes, fresh, council(), budget=budget).experiments, here)
            told["without"] = alone.found_at
            told["brier_without"] = fmean(alone.brier) if alone.brier else None
        curve.append(told)
    assert first is not None
    return first, curve
