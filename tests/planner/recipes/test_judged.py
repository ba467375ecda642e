"""What a recipe asks for is enough for the judge: systems that have the weakness break, tolerant ones hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from executor.measure.columns import Recording
from executor.measure.counters import counter
from executor.measure.judge import judge
from executor.measure.records import TrialRecord
from executor.measure.sampler import SIGNAL_HZ
from executor.measure.samples import Samples
from executor.model.evidence import HypothesisResult, Observation
from executor.model.faults import Fault
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Dns, Latency
from executor.model.faults.resource import CpuThrottle
from executor.model.faults.service import CorruptResponse, Crash, DependencyFailure, Error, Hang, Timeout
from executor.model.plan import EdgeTarget, Experiment, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from planner.recipes.table import RECIPES
from tests.planner.systems import bazaar, brief_for, compiled, proposal

RATES_HZ = (4.0, 5.0, 10.0, 20.0)
"""From what live discovery asks at up to twice the default."""
OWN_HZ = 2.0
"""Calls on the struck edge that no check of ours causes."""
Answer = tuple[bool, float]
"""Good, latency in ms."""
Answers = Callable[[float, int], Answer]
"""Of a check asked so many seconds after the fault came, as its n-th."""


def well(_: float, __: int) -> Answer:
    return True, 20.0


def failing(_: float, __: int) -> Answer:
    return False, 20.0


def waiting(_: float, __: int) -> Answer:
    return True, 3000.0


def giving_up(_: float, __: int) -> Answer:
    return False, 500.0


def failing_for(seconds: float) -> Answers:
    return lambda since_s, _: (since_s >= seconds, 20.0)


def failing_each(nth: int) -> Answers:
    return lambda _, n: (n % nth != 0, 20.0)


@dataclass(frozen=True)
class World:
    """How a system answers while the fault is there and after it; before, all is well."""

    answers: dict[str, Answers] = field(default_factory=dict)
    """By check or signal; the others stay well."""
    factor: Callable[[float], float] = lambda _: 1.0
    """How many calls the caller makes for each it made before, so many seconds after the fault came."""
    lasting_s: float = 0.0
    """How long after the fault's end it goes on like that."""


@dataclass(frozen=True)
class Trouble:
    """A proposal, a system that has the weakness, and one that has not."""

    weakness: Weakness
    place: str
    fault: Fault
    weak: World
    tolerant: World
    target: Target | None = None


APP, DB, CACHE = (InstanceTarget(service=name) for name in ("app", "db", "cache"))
LATE, REFUSED, BUSY = Latency(delay_ms=3000), DependencyFailure(mode="refuse"), Error(status=503)
PAGES = ("home", "imprint")
USERS = ("home", "order", "list")


def each(names: tuple[str, ...], answers: Answers) -> World:
    return World(dict.fromkeys(names, answers))


TROUBLES = (
    Trouble(Weakness.HARD_DEPENDENCY, "web->tips", REFUSED, each(("home",), failing), World()),
    Trouble(Weakness.NO_GRACEFUL_DEGRADATION, "web->tips", CorruptResponse(), each(("home",), failing), World()),
    Trouble(Weakness.MISSING_TIMEOUT, "web->tips", LATE, each(("home",), waiting), each(("home",), giving_up)),
    Trouble(Weakness.MISSING_BULKHEAD, "web->tips", LATE, each(PAGES, waiting), each(("home",), waiting)),
    Trouble(
        Weakness.RETRY_STORM,
        "web->tips",
        BUSY,
        World({"home": failing}, factor=lambda _: 5.0),
        World({"home": failing}, factor=lambda _: 2.0),
    ),
    Trouble(
        Weakness.MISSING_CIRCUIT_BREAKER,
        "web->tips",
        Timeout(),
        each(("home",), giving_up),
        World({"home": giving_up}, factor=lambda since_s: 1.0 if since_s < 1 else 0.1),
    ),
    Trouble(
        Weakness.TIMEOUT_INVERSION,
        "lb->app",
        Latency(delay_ms=700),
        each(("home",), failing),
        World(),
        target=EdgeTarget(caller="app", callee="db"),
    ),
    Trouble(
        Weakness.RESOURCE_LEAK_UNDER_FAILURE,
        "web->tips",
        Timeout(),
        World(dict.fromkeys(PAGES, failing), lasting_s=30),
        World(dict.fromkeys(PAGES, failing), lasting_s=1),
    ),
    Trouble(
        Weakness.MISSING_RETRY,
        "web->lb",
        Error(status=503, probability=0.15),
        each(USERS, failing_each(6)),
        each(USERS, failing_each(60)),
    ),
    Trouble(
        Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER,
        "lb",
        Hang(),
        each(USERS, failing_each(2)),
        each(USERS, failing_for(1.5)),
        target=APP,
    ),
    Trouble(Weakness.SINGLE_POINT_OF_FAILURE, "db", Hang(), each(USERS, failing), World()),
    Trouble(Weakness.SLOW_OR_MISSING_RECOVERY, "web", Crash(), each(PAGES, failing), each(PAGES, failing_for(1.5))),
    Trouble(
        Weakness.DOES_NOT_RECONNECT,
        "app->db",
        ConnectionFailure(),
        World(dict.fromkeys(USERS, failing), lasting_s=30),
        World(dict.fromkeys(USERS, failing), lasting_s=1),
        target=DB,
    ),
    Trouble(
        Weakness.STALE_NAME_RESOLUTION,
        "web->tips",
        Dns(mode="wrong_address"),
        World({"home": failing}, lasting_s=30),
        World({"home": failing}, lasting_s=1),
        target=InstanceTarget(service="web"),
    ),
    Trouble(
        Weakness.CAPACITY_CLIFF,
        "web",
        CpuThrottle(quota_percent=20),
        each(PAGES, failing),
        each(PAGES, lambda _, __: (True, 900.0)),
    ),
    Trouble(
        Weakness.POOL_EXHAUSTION,
        "app->db",
        Lock(table="orders"),
        each(("order", "list"), failing),
        each(("order",), failing),
        target=DB,
    ),
    Trouble(
        Weakness.COLD_CACHE_OVERLOAD,
        "app->cache",
        CacheFlush(),
        World({"list": lambda _, __: (True, 900.0)}),
        World({"list": lambda _, __: (True, 60.0)}),
        target=CACHE,
    ),
    Trouble(
        Weakness.DETECTION_BLIND_SPOT,
        "app",
        REFUSED,
        each(USERS, failing),
        World({**dict.fromkeys(USERS, failing), "app-health": failing}),
        target=EdgeTarget(caller="app", callee="db"),
    ),
)


def paced(rate_hz: float) -> System:
    """The bazaar, asked that often."""
    services = [
        {**s.model_dump(), "operations": [{**c.model_dump(), "rate_hz": rate_hz} for c in s.operations]}
        for s in bazaar().services
    ]
    return System.model_validate({**bazaar().model_dump(), "services": services})


def experiment_for(trouble: Trouble, rate_hz: float) -> Experiment:
    one = proposal(trouble.weakness, trouble.place, trouble.fault, trouble.target)
    (experiment,) = compiled(one, brief=brief_for(paced(rate_hz))).experiments
    return experiment


def verdict(trouble: Trouble, world: World, rate_hz: float) -> HypothesisResult:
    """One trial of the compiled experiment on such a system, as long as the experiment says, and judged."""
    experiment = experiment_for(trouble, rate_hz)
    assert experiment.trials == 1
    came_s = experiment.baseline_s
    gone_s = came_s + experiment.actions[0].duration_s
    end_s = gone_s + experiment.recovery_deadline_s
    until_s = gone_s + world.lasting_s
    made: list[Observation] = []

    def note(source: str, at_s: float, ok: bool, latency_ms: float, value: float | None = None) -> None:
        error = "" if ok else "status 503"
        made.append(
            Observation(
                source=source,
                experiment=experiment.id,
                trial=1,
                at_s=at_s,
                ok=ok,
                latency_ms=latency_ms,
                value=value,
                error=error,
            )
        )

    asked = {check.id: check.rate_hz for check in experiment.checks}
    asked |= {signal.id: SIGNAL_HZ for signal in experiment.signals}
    for name, hz in asked.items():
        for n in range(int(end_s * hz)):
            at_s = n / hz
            there = came_s <= at_s < until_s
            note(name, at_s, *(world.answers.get(name, well) if there else well)(at_s - came_s, n))
    (hypothesis,) = experiment.hypotheses
    for caller, callee in set(hypothesis.exercised_by):
        usual_hz = OWN_HZ + sum(c.rate_hz for c in experiment.checks if f"{caller}->{callee}" in (c.exercises or ()))
        calls = 0.0
        for n in range(int(end_s * SIGNAL_HZ)):
            at_s = n / SIGNAL_HZ
            note(counter(caller, callee), at_s, True, 1.0, float(int(calls)))
            calls += usual_hz * (world.factor(at_s - came_s) if came_s <= at_s < gone_s else 1.0) / SIGNAL_HZ
    trial = TrialRecord(trial=1, baseline_start_s=0.0, injected_s=came_s, reverted_s=gone_s, end_s=end_s)
    (result,) = judge(
        experiment, [Samples(trial, Recording(made))], started=datetime(2026, 1, 1, tzinfo=UTC)
    ).hypotheses
    return result


def test_every_recipe_is_tried() -> None:
    """But of what a service keeps: only its data tell (tests/executor/measure/validators/test_data_consistency.py)."""
    assert {trouble.weakness for trouble in TROUBLES} == set(RECIPES) - {Weakness.INCONSISTENT_AFTER_CRASH}


def test_who_fails_with_the_callee_itself_waits_no_shorter_than_it() -> None:
    """What the callee does not bear either says nothing of its caller's time-out."""
    (inversion,) = [trouble for trouble in TROUBLES if trouble.weakness is Weakness.TIMEOUT_INVERSION]
    result = verdict(inversion, each(USERS, failing), 10.0)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "on which it depends" in result.reason


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: t.weakness.value)
def test_the_weak_breaks_and_the_tolerant_holds(trouble: Trouble, rate_hz: float) -> None:
    weak = verdict(trouble, trouble.weak, rate_hz)
    assert weak.verdict is Verdict.BREAKS, weak.reason
    tolerant = verdict(trouble, trouble.tolerant, rate_hz)
    assert tolerant.verdict is Verdict.HOLDS, tolerant.reason


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: t.weakness.value)
def test_criteria_and_load_name_what_is_watched(trouble: Trouble) -> None:
    experiment = experiment_for(trouble, 10)
    checks = {check.id for check in experiment.checks}
    signals = {signal.id for signal in experiment.signals}
    places = {edge.place for edge in bazaar().dependencies}
    for criterion in experiment.hypotheses[0].criteria:
        assert checks >= set(getattr(criterion, "checks", ()))
        assert criterion.kind != "detected_within" or criterion.signal in signals
        assert criterion.kind != "calls_within" or f"{criterion.caller}->{criterion.callee}" in places
    assert {f"{caller}->{callee}" for caller, callee in experiment.hypotheses[0].exercised_by} <= places
