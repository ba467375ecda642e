"""Systems to plan for, none of which runs, and proposals about them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.probe import Check, DetectionSignal, HttpProbe, Slo
from executor.model.system import Dependency, KernelRedirect, ManagedProxy, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind, Weakness
from executor.safety.limits import Limits
from experts.brief import Brief, Constraints, PastResult
from experts.proposal import Critique, Proposal
from planner.compile import Compiled, compile_candidates

URL = "http://127.0.0.1:1"


def check(name: str, service: str, **fields: Any) -> Check:
    probe = HttpProbe(url=f"{URL}/{name}")
    return Check(**{"id": name, "service": service, "probe": probe, "slo": Slo(latency_ms_max=300), **fields})


def service(name: str, *, instances: int = 1, **fields: Any) -> Service:
    ids = tuple(
        ProcessInstance(id=f"{name}-{n + 1}", command=f"{name} {n + 1}", port=9000 + n) for n in range(instances)
    )
    return Service(**{"name": name, "kind": ServiceKind.HTTP, "instances": ids, "restarts": "supervised", **fields})


def edge(caller: str, callee: str, protocol: str = "http") -> Dependency:
    way = ManagedProxy(control="/run/murphy-proxy.sock", edge=f"{caller}->{callee}")
    return Dependency(caller=caller, callee=callee, protocol=protocol, interception=way)  # type: ignore[arg-type]


WEB_NEEDS = ("web", "lb", "app", "db")


def bazaar() -> System:
    """web → lb → two apps → db and cache; web → tips, which it should do without."""
    pages = (
        check("home", "web", critical=True, needs=WEB_NEEDS, exercises=("web->lb", "lb->app", "app->db", "web->tips")),
        check("imprint", "web", needs=("web",), exercises=()),
    )
    orders = (
        check("order", "app", critical=True, needs=WEB_NEEDS[1:], exercises=("lb->app", "app->db"), tables=("orders",)),
        check("list", "app", needs=WEB_NEEDS[1:], exercises=("lb->app", "app->db", "app->cache"), tables=("goods",)),
    )
    signal = DetectionSignal(id="app-health", service="app", probe=HttpProbe(url=f"{URL}/health"))
    services = (
        service("web", criticality=3, operations=pages),
        service("lb", kind=ServiceKind.LOAD_BALANCER, criticality=3),
        service("app", instances=2, criticality=3, operations=orders, signals=(signal,)),
        service("tips", criticality=0, operations=(check("tip", "tips", needs=("tips",), exercises=()),)),
        service(
            "db", kind=ServiceKind.DATABASE, technology="postgresql", criticality=3, disposable=True, dsn="env:DSN",
            tables=("orders", "goods"),
        ),
        service("cache", kind=ServiceKind.CACHE, technology="redis", disposable=True, dsn="env:CACHE"),
        service("clock", criticality=2, operations=(check("time", "clock", critical=True, exercises=()),)),
    )  # fmt: skip
    edges = (
        edge("web", "lb"),
        edge("lb", "app"),
        edge("web", "tips"),
        edge("app", "db", "postgresql"),
        edge("app", "cache", "redis"),
    )
    return System(name="bazaar", services=services, dependencies=edges)


def proposal(weakness: Weakness, place: str, fault: Fault, target: Target | None = None, **fields: Any) -> Proposal:
    caller, _, callee = place.partition("->")
    aim = target or (EdgeTarget(caller=caller, callee=callee) if callee else InstanceTarget(service=place))
    given = {
        "expert": "network-engineer",
        "probability": 0.4,
        "rationale": f"{place} looks like it.",
        "remedy": f"Mend {place}.",
    }
    return Proposal(**{**given, "weakness": weakness, "place": place, "fault": fault, "target": aim, **fields})


def brief_for(system: System, *past: PastResult, **constraints: Any) -> Brief:
    return Brief(system=system, goal="See what breaks.", constraints=Constraints(**constraints), past=past)


def compiled(*proposals: Proposal, critiques: tuple[Critique, ...] = (), brief: Brief | None = None) -> Compiled:
    told = brief or brief_for(bazaar())
    return compile_candidates(proposals, critiques, told, limits=Limits(), weights={})


@st.composite
def systems(draw: st.DrawFn) -> System:
    """Small systems of any shape; in some nobody knows what a check uses, or an edge is out of reach."""
    names = [f"s{n}" for n in range(draw(st.integers(2, 5)))]
    pairs = [(a, b) for a in names for b in names if a != b]
    edges = []
    for caller, callee in draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1, max_size=6)):
        way = draw(st.sampled_from((None, KernelRedirect(), ManagedProxy(control="/c", edge=f"{caller}->{callee}"))))
        protocol = draw(st.sampled_from(("http", "tcp", "redis")))
        edges.append(Dependency(caller=caller, callee=callee, protocol=protocol, interception=way))
    places = tuple(e.place for e in edges)
    services = []
    for name in names:
        checks = tuple(
            check(
                f"{name}-{n}",
                name,
                rate_hz=draw(st.sampled_from((2.0, 6.0, 20.0))),
                critical=draw(st.booleans()),
                needs=draw(st.none() | st.lists(st.sampled_from(names), unique=True).map(tuple)),
                exercises=draw(st.none() | st.lists(st.sampled_from(places), unique=True).map(tuple)),
                tables=draw(st.sampled_from(((), ("a",), ("b",)))),
            )
            for n in range(draw(st.integers(0, 2)))
        )
        services.append(
            service(
                name,
                instances=draw(st.integers(1, 2)),
                kind=draw(st.sampled_from((ServiceKind.HTTP, ServiceKind.LOAD_BALANCER, ServiceKind.CACHE))),
                operations=checks,
                criticality=draw(st.integers(0, 3)),
                protected=draw(st.integers(0, 5)) == 0,
                disposable=draw(st.booleans()),
                restarts=draw(st.sampled_from(("supervised", "by_hand", "unknown"))),
            )
        )
    return System(name="drawn", services=tuple(services), dependencies=tuple(edges))
