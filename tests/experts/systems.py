"""Systems to ask experts about: one small and hand-made, and a strategy for any other. Never the bundled shop."""

from __future__ import annotations

from hypothesis import strategies as st

from executor.model.plan import Action, Experiment, Hypothesis, Prediction
from executor.model.probe import Check, DetectionSignal, HttpProbe
from executor.model.system import Dependency, KernelRedirect, ProcessInstance, Service, System
from executor.model.vocabulary import Environment, ServiceKind

CANARY = "canary-7f3a91"
"""Planted where a secret could hide that its place does not give away; must never reach a model."""


def probe(port: int) -> HttpProbe:
    return HttpProbe(url=f"http://127.0.0.1:{port}/?q={CANARY}", json_body=f'{{"password": "{CANARY}"}}')


def instance(name: str, port: int) -> ProcessInstance:
    return ProcessInstance(id=name, command=f"serve --mode {CANARY}", port=port)


def edge(caller: str, callee: str, **facts: object) -> Dependency:
    given = {"protocol": "http", "interception": KernelRedirect(), "source": (f"environment {CANARY}",), **facts}
    return Dependency.model_validate({"caller": caller, "callee": callee, **given})


def library() -> System:
    """A public library: door (balancer) → desk ×2 → shelves (database), covers (cache); desk → reviews, loans."""
    read = Check(
        id="read",
        service="desk",
        probe=probe(9001),
        critical=True,
        needs=("desk", "shelves"),
        exercises=("door->desk", "desk->shelves", "desk->covers", "desk->reviews"),
        tables=("books",),
    )
    hours = Check(id="hours", service="desk", probe=probe(9002), needs=("desk",), exercises=("door->desk",))
    lend = Check(
        id="lend",
        service="loans",
        probe=probe(9003),
        critical=True,
        needs=("loans", "shelves"),
        exercises=("loans->shelves",),
        tables=("lent",),
    )
    members = Check(
        id="members",
        service="loans",
        probe=probe(9004),
        needs=("loans", "shelves"),
        exercises=("loans->shelves",),
        tables=("people",),
    )
    signal = DetectionSignal(id="loans-health", service="loans", probe=probe(9005))
    return System(
        name="library",
        services=(
            Service(name="door", kind=ServiceKind.LOAD_BALANCER, instances=(instance("door-1", 9000),), criticality=3),
            Service(
                name="desk",
                kind=ServiceKind.HTTP,
                technology="flask",
                instances=(instance("desk-1", 9001), instance("desk-2", 9002)),
                criticality=3,
                operations=(read, hours),
                restarts="supervised",
            ),
            Service(
                name="loans",
                kind=ServiceKind.HTTP,
                instances=(instance("loans-1", 9003),),
                operations=(lend, members),
                signals=(signal,),
                restarts="by_hand",
            ),
            Service(name="reviews", kind=ServiceKind.HTTP, instances=(instance("reviews-1", 9006),), criticality=0),
            Service(
                name="shelves",
                kind=ServiceKind.DATABASE,
                technology="postgresql",
                instances=(instance("shelves-1", 9007),),
                dsn=f"env:{CANARY.replace('-', '_')}",
                tables=("books", "lent", "people"),
                disposable=True,
            ),
            Service(
                name="covers",
                kind=ServiceKind.CACHE,
                technology="redis",
                instances=(instance("covers-1", 9008),),
                dsn=f"file:/run/secrets/{CANARY}",
                disposable=True,
            ),
        ),
        dependencies=(
            edge("door", "desk"),
            edge("desk", "shelves", protocol="postgresql"),
            edge("desk", "covers", protocol="redis"),
            edge("desk", "reviews"),
            edge("loans", "shelves", protocol="postgresql"),
        ),
    )


def an_experiment() -> Experiment:
    check = library().services[1].operations[0]
    return Experiment.model_validate(
        {
            "id": "e1",
            "title": "a slow dependency",
            "hypotheses": [
                Hypothesis.model_validate(
                    {
                        "id": "h1",
                        "weakness": "missing_timeout",
                        "place": "desk->reviews",
                        "statement": "answers come in time",
                        "criteria": [{"kind": "bounded_latency", "checks": ["read"], "limit_ms": 1000}],
                        "prediction": Prediction(probability_breaks=0.5),
                    }
                )
            ],
            "checks": [check],
            "actions": [
                Action.model_validate(
                    {
                        "id": "a1",
                        "fault": {"kind": "network.latency", "delay_ms": 3000},
                        "target": {"kind": "edge", "caller": "desk", "callee": "reviews"},
                        "duration_s": 5,
                    }
                )
            ],
            "abort_conditions": "none",
        }
    )


@st.composite
def systems(draw: st.DrawFn) -> System:
    """Any system of up to six services, with whatever is known or unknown about it."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    pairs = [(a, b) for a in names for b in names if a != b]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=8, unique=True)) if pairs else []
    places = [f"{a}->{b}" for a, b in chosen]
    services = [draw(_service(name, names, places)) for name in names]
    facts = st.fixed_dictionaries(
        {
            "protocol": st.sampled_from(["http", "grpc", "postgresql", "redis", "amqp", "tcp"]),
            "timeout_ms": st.none() | st.floats(1, 10_000),
            "retries": st.none() | st.integers(0, 10),
            "breaker": st.none() | st.booleans(),
            "fallback": st.none() | st.booleans(),
            "interception": st.none() | st.just(KernelRedirect()),
        }
    )
    edges = tuple(edge(a, b, **draw(facts)) for a, b in chosen)
    return System(
        name="any", environment=draw(st.sampled_from(Environment)), services=tuple(services), dependencies=edges
    )


@st.composite
def _service(draw: st.DrawFn, name: str, names: list[str], places: list[str]) -> Service:
    some = st.lists(st.sampled_from(names), max_size=3, unique=True).map(tuple)
    used = st.lists(st.sampled_from(places), max_size=4, unique=True).map(tuple) if places else st.just(())
    tables = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple)
    operations = tuple(
        Check(
            id=f"{name}-op{number}",
            service=name,
            probe=probe(9000),
            critical=draw(st.booleans()),
            needs=draw(st.none() | some),
            exercises=draw(st.none() | used),
            tables=draw(tables),
        )
        for number in range(draw(st.integers(0, 2)))
    )
    return Service(
        name=name,
        kind=draw(st.sampled_from(ServiceKind)),
        technology=draw(st.none() | st.sampled_from(["postgresql", "redis", "flask"])),
        instances=tuple(instance(f"{name}-{n}", 9000 + n) for n in range(draw(st.integers(0, 3)))),
        criticality=draw(st.integers(0, 3)),
        protected=draw(st.booleans()),
        disposable=draw(st.booleans()),
        restarts=draw(st.sampled_from(["supervised", "by_hand", "unknown"])),
        dsn=draw(st.none() | st.just("env:SOMETHING")),
        operations=operations,
    )
