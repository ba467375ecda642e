"""The simulation against what is known of queues, and against itself."""

from __future__ import annotations

import math
import random

import pytest

from bench.gym.behaviour import Client, Operation, Server, Step, World
from bench.gym.parts import Disturbance
from bench.gym.simulation import Simulation


def erlang_c(servers: int, load: float) -> float:
    """P(an arrival has to wait) in M/M/c, the load in erlangs. Source: A. K. Erlang, 1917."""
    blocked = load**servers / math.factorial(servers) * servers / (servers - load)
    return blocked / (sum(load**k / math.factorial(k) for k in range(servers)) + blocked)


@pytest.mark.parametrize(("workers", "rate", "mean_s"), [(1, 0.7, 1.0), (3, 2.4, 1.0), (8, 60.0, 0.11)])
def test_waiting_is_as_in_mmc(workers: int, rate: float, mean_s: float) -> None:
    server = Server(service_s=mean_s, spread=-1.0, workers=workers, queue=10**6)
    operation = Operation("op", "one", ())
    simulation = Simulation(World("w", {"one": server}, {}, (operation,)), seed=3)
    chance, at_s, took = random.Random(4), 0.0, []

    def ask(begun_s: float) -> None:
        simulation.ask(operation, lambda _outcome: took.append(simulation.events.now - begun_s))

    for _ in range(120_000):
        at_s += chance.expovariate(rate)
        simulation.events.at(at_s, ask, at_s)
    simulation.events.run(at_s + 100 * mean_s)
    expected_s = mean_s + erlang_c(workers, rate * mean_s) / (workers / mean_s - rate)
    assert sum(took) / len(took) == pytest.approx(expected_s, rel=0.05)


def pair(client: Client, **server: object) -> tuple[World, Operation]:
    operation = Operation("op", "front", (Step("back", soft=True),))
    servers = {"front": Server(), "back": Server(**server)}  # type: ignore[arg-type]
    return World("w", servers, {("front", "back"): client}, (operation,)), operation


def answers(
    world: World, operation: Operation, disturbance: Disturbance | None, *, count: int = 40
) -> list[tuple[str, float]]:
    """Outcome and seconds of each of so many requests at 10 Hz, the edge being disturbed from the start."""
    simulation = Simulation(world, seed=1)
    simulation.disturb(("front", "back"), disturbance)
    found: list[tuple[str, float]] = []

    def ask(begun_s: float) -> None:
        simulation.ask(operation, lambda outcome: found.append((outcome, simulation.events.now - begun_s)))

    for k in range(count):
        simulation.events.at(k / 10, ask, k / 10)
    simulation.events.run(count / 10 + 60)
    return found


def test_a_client_without_a_time_out_waits_as_long_as_its_callee_takes() -> None:
    slow = Disturbance(delay_s=3.0)
    assert min(took for _, took in answers(*pair(Client(timeout_s=None, pool=None)), slow)) > 3
    assert max(took for _, took in answers(*pair(Client(timeout_s=0.5)), slow)) < 0.6


def test_a_breaker_stops_calling_and_comes_back() -> None:
    world, operation = pair(Client(breaker_after=5, open_s=1.0))
    simulation = Simulation(world, seed=1)
    edge = simulation.edges["front", "back"]
    simulation.disturb(("front", "back"), Disturbance(outcome="5xx"))
    for k in range(200):
        simulation.events.at(k / 20, simulation.ask, operation, lambda _outcome: None)
    simulation.events.run(5.0)
    assert 5 <= edge.calls <= 12, "five until it opens, and one a second"
    simulation.disturb(("front", "back"), None)
    before = edge.calls
    simulation.events.run(10.0)
    assert edge.calls - before > 70
    assert not edge.opened


def test_retries_multiply_calls_and_a_fallback_hides_them() -> None:
    world, operation = pair(Client(retries=7, breaker_after=None))
    assert {outcome for outcome, _ in answers(world, operation, Disturbance(outcome="5xx"))} == {"ok"}
    simulation = Simulation(world, seed=1)
    simulation.disturb(("front", "back"), Disturbance(outcome="5xx"))
    for k in range(10):
        simulation.events.at(k / 10, simulation.ask, operation, lambda _outcome: None)
    simulation.events.run(20)
    assert simulation.edges["front", "back"].calls == 80


def test_what_dies_drops_what_it_had_and_comes_back() -> None:
    world, operation = pair(Client())
    simulation = Simulation(world, seed=1)
    said: list[str] = []
    simulation.ask(operation, said.append)
    (front,) = simulation.instances["front"]
    simulation.kill(front)
    assert said == ["reset"]
    simulation.ask(operation, said.append)
    simulation.events.run(0.1)
    assert said == ["reset", "refused"]
    simulation.events.run(1.0)
    simulation.ask(operation, said.append)
    simulation.events.run(2.0)
    assert said[-1] == "ok"


def test_what_hangs_goes_on_where_it_stood() -> None:
    world, operation = pair(Client())
    simulation = Simulation(world, seed=1)
    said: list[str] = []
    simulation.ask(operation, said.append)
    (front,) = simulation.instances["front"]
    simulation.hang(front)
    simulation.events.run(5.0)
    assert said == []
    simulation.go_on(front)
    simulation.events.run(6.0)
    assert said == ["ok"]


@pytest.mark.parametrize("outcome", ["4xx", "5xx", "malformed", "refused"])
def test_a_deep_health_check_sees_whatever_users_do_not_get(outcome: str) -> None:
    operation = Operation("op", "front", (Step("back"),))
    world = World("w", {"front": Server(), "back": Server()}, {("front", "back"): Client()}, (operation,))
    simulation = Simulation(world, seed=1)
    said: list[bool | None] = []
    for k in range(40):
        simulation.events.at(k / 10, simulation.ask, operation, lambda _outcome: None)
        simulation.events.at(k / 10 + 0.05, lambda: said.append(simulation.well("front")))
    simulation.events.at(1.0, simulation.disturb, ("front", "back"), Disturbance(outcome=outcome))  # type: ignore[arg-type]
    simulation.events.at(2.5, simulation.disturb, ("front", "back"), None)
    simulation.events.run(5)
    assert all(said[:10])
    assert not any(said[14:25])
    assert said[-1]
