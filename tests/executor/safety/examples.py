"""Small systems and plans, built from the parts a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from executor.model.criteria import SteadyState
from executor.model.digest import digest
from executor.model.faults import Fault
from executor.model.faults.network import Latency, Partition
from executor.model.faults.service import Hang
from executor.model.plan import (
    Action,
    EdgeTarget,
    Experiment,
    GroupsTarget,
    Hypothesis,
    InstanceTarget,
    Plan,
    Prediction,
    Stage,
    Target,
)
from executor.model.probe import Check, HttpProbe
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service, System
from executor.model.vocabulary import Environment, Weakness

CHECK = Check(id="front-page", service="s0", probe=HttpProbe(url="http://127.0.0.1:1/"))


def service(name: str, instances: int = 1, **more: Any) -> Service:
    ids = [f"{name}-{number}" for number in range(1, instances + 1)]
    return Service(name=name, instances=tuple(ProcessInstance(id=i, command=f"never-{i}") for i in ids), **more)


def edge(caller: str, callee: str, **more: Any) -> Dependency:
    reached = ManagedProxy(control="/run/proxy.sock", edge=f"{caller}->{callee}")
    return Dependency(caller=caller, callee=callee, **{"interception": reached, **more})


def system(*services: Service, edges: Sequence[Dependency] = (), **more: Any) -> System:
    return System(name="small", services=services, dependencies=tuple(edges), **more)


def chain(length: int = 10, **more: Any) -> System:
    """``s0`` calls ``s1``, which calls ``s2``…; one instance each."""
    names = [f"s{number}" for number in range(length)]
    return system(*map(service, names), edges=[edge(a, b) for a, b in pairwise(names)], **more)


def hang(name: str, *, count: int = 1, ids: Sequence[str] = (), **more: Any) -> Action:
    return act(Hang(), InstanceTarget(service=name, count=count, ids=tuple(ids)), f"hang-{name}", **more)


def slow(caller: str, callee: str, **more: Any) -> Action:
    return act(Latency(delay_ms=500), EdgeTarget(caller=caller, callee=callee), f"slow-{caller}-{callee}", **more)


def cut(a: Sequence[str], b: Sequence[str], **more: Any) -> Action:
    return act(Partition(), GroupsTarget(a=tuple(a), b=tuple(b)), "cut", **more)


def act(fault: Fault, target: Target, name: str, **more: Any) -> Action:
    return Action(**{"id": name, "fault": fault, "target": target, "duration_s": 5, **more})


def experiment(*actions: Action, name: str = "", **more: Any) -> Experiment:
    name = name or "e-" + actions[0].id
    hypothesis = Hypothesis(
        id=f"h-{name}",
        weakness=Weakness.HARD_DEPENDENCY,
        place="s0",
        statement="the front page stays up",
        criteria=(SteadyState(checks=(CHECK.id,)),),
        prediction=Prediction(probability_breaks=0.5),
    )
    usual = {"hypotheses": (hypothesis,), "checks": (CHECK,), "abort_conditions": "none"}
    return Experiment(**{"id": name, "title": name, "actions": actions, **usual, **more})


def plan(of: System, *stages: Sequence[Experiment] | Experiment | Action, **more: Any) -> Plan:
    """A plan for a system: each stage is a list of experiments, one experiment, or one action."""
    usual = {
        "id": "p",
        "system_name": of.name,
        "system_digest": digest(of),
        "environment": of.environment,
        "proposer": "planner",
        "stages": tuple(_stage(stage) for stage in stages),
    }
    return Plan(**{**usual, **more})


def _stage(of: Sequence[Experiment] | Experiment | Action) -> Stage:
    if isinstance(of, Action):
        return Stage(experiments=(experiment(of),))
    return Stage(experiments=(of,) if isinstance(of, Experiment) else tuple(of))


PRODUCTION = Environment.PRODUCTION
