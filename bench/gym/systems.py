"""Systems to train on, by seed: a family's habits, one system of it with what is planted there, and its clean twin."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.gym.behaviour import World
from bench.gym.declared import declare
from bench.gym.plants import PLANTS, Pair, Planted
from bench.gym.topology import clean, small, stacks_of
from executor.model.system import System

STRAY = 0.15
"""Weaknesses for each service that follow no habit: of any kind, anywhere."""
HABITS = 4
"""Of a family: a kind of weakness, and what those write their services with who are prone to it."""
PRONE = 0.6
"""Share of a habit's places that have its weakness: one way to write a client, copied from place to place."""
HABIT_MAX = 5
"""Of one habit in one system, for each sixty services."""


@dataclass(frozen=True)
class Ground:
    """A system to find weaknesses in, and the truth about it."""

    world: World
    system: System
    planted: tuple[Planted, ...]

    def found(self, pair: Pair) -> frozenset[int]:
        """Which of the planted weaknesses a finding shows, by number."""
        return frozenset(n for n, each in enumerate(self.planted) if pair in each.shows_as)

    def true(self, pair: Pair) -> bool:
        """Whether a finding is right: it shows something planted, or follows from it."""
        return any(pair in each.shows_as or pair in each.also for each in self.planted)


def ground(family: int, number: int, *, services: int, healthy: bool = False) -> Ground:
    """The ``number``th system of a family (from 1); ``healthy``: its clean twin, the same with nothing planted."""
    seed = family * 1000 + number
    name = f"gym-{family}-{number}{'-clean' if healthy else ''}"
    world = clean(name, services=services, seed=seed, stacks=stacks_of(family))
    planted: list[Planted] = []
    if not healthy:
        world, planted = _plant(world, family, seed)
    return Ground(world, declare(world, seed=seed), tuple(planted))


KINDS = tuple(sorted(PLANTS))
REAL = (
    *("waits-for-ever", "waits-too-long", "ten-retries-behind-a-fallback", "no-fallback", "fallback-skips-404"),
    *("fallback-skips-errors", "parser-outside-the-fallback", "handler-fails-on-refused", "retry-storm"),
    *("breaker-counts-errors-only", "breaker-never-closes", "no-wall", "sixth-at-once", "slow-restart"),
    *("supervisor-gives-up", "health-says-it-runs"),
)
"""Kinds of weaknesses that a small HTTP service of ``processes`` can have."""


def real_ground(family: int, *, services: int, healthy: bool = False) -> Ground:
    """The same for real processes: a small system, with four or five weaknesses of ``REAL``."""
    seed = family * 1000 + 999
    name = f"gym-real-{family}{'-clean' if healthy else ''}"
    world = small(name, services=services, seed=seed, stacks=stacks_of(family))
    planted: list[Planted] = []
    if not healthy:
        world, planted = _plant(world, family, seed, REAL)
    return Ground(world, declare(world, seed=seed), tuple(planted))


def habits(family: int, kinds: Sequence[str] = KINDS) -> tuple[tuple[str, str], ...]:
    """What its people are prone to: kinds of weaknesses, each with the technology of those who are."""
    chance = random.Random(f"habits {family}")
    stacks = stacks_of(family)
    return tuple((name, chance.choice(stacks)) for name in chance.sample(kinds, min(HABITS, len(kinds))))


def _plant(world: World, family: int, seed: int, kinds: Sequence[str] = KINDS) -> tuple[World, list[Planted]]:
    """Plant without regard to what is easy to find: habits first, then strays evenly over all kinds and places."""
    chance = random.Random(f"planted {seed}")
    size = len(world.servers)
    planted: list[Planted] = []
    taken: set[str] = set()

    def put(name: str, places: Sequence[str]) -> None:
        nonlocal world
        free = [place for place in places if place not in taken and place in PLANTS[name].places(world)]
        if free:
            place = chance.choice(free)
            world, found = PLANTS[name].at(world, place)
            planted.append(found)
            taken.add(place)

    for name, stack in habits(family, kinds):
        prone = [p for p in PLANTS[name].places(world) if world.servers[p.partition("->")[0]].technology == stack]
        drawn = [place for place in prone if chance.random() < PRONE]
        for place in drawn[: max(1, round(HABIT_MAX * size / 60))]:
            put(name, [place])
    for _ in range(max(1, round(STRAY * size))):
        name = chance.choice(kinds)
        put(name, PLANTS[name].places(world))
    return world, planted
