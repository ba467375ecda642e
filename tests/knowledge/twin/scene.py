"""Small systems and experiments for the twin, whose outcome is known by construction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from executor.model.criteria import Criterion, SteadyState
from executor.model.faults import Fault
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Prediction, Target
from executor.model.probe import Check, HttpProbe, Slo
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import Weakness
from knowledge.twin.parameters import UNSAID_RATES

Key = tuple[Weakness, str]


@dataclass(frozen=True)
class Believed:
    weakness: Weakness
    place: str
    probability: float
    runs: int = 1


def check(service: str, name: str = "", **fields: Any) -> Check:
    probe = HttpProbe(url="http://127.0.0.1:1/")
    return Check(**{"id": name or f"ask-{service}", "service": service, "probe": probe, "slo": Slo(), **fields})


def service(name: str, instances: int = 1, checks: Iterable[Check] = (), **fields: Any) -> Service:
    ids = tuple(ProcessInstance(id=f"{name}-{n}", command=f"{name} {n}") for n in range(instances))
    return Service(name=name, instances=ids, operations=tuple(checks), **fields)


def system(
    edges: Sequence[str],
    checks: Sequence[Check],
    *,
    instances: Mapping[str, int] | None = None,
    services: Mapping[str, Mapping[str, Any]] | None = None,
    apart: Mapping[str, Mapping[str, Any]] | None = None,
    **treated: Any,
) -> System:
    """Edges are ``a->b``; all of them treat their callee alike, unless one stands ``apart``."""
    known = dict.fromkeys([end for edge in edges for end in edge.split("->")] + [each.service for each in checks])
    return System(
        name="small",
        services=tuple(
            service(
                name,
                (instances or {}).get(name, 1),
                [c for c in checks if c.service == name],
                **(services or {}).get(name, {}),
            )
            for name in known
        ),
        dependencies=tuple(
            Dependency(caller=a, callee=b, protocol="http", **{**treated, **(apart or {}).get(f"{a}->{b}", {})})
            for a, b in (edge.split("->") for edge in edges)
        ),
    )


def nothing_but(system_: System, present: Mapping[Key, float]) -> list[Believed]:
    """What is believed of every place: only these weaknesses, each with its probability, and surely no other."""
    places = [each.name for each in system_.services] + [edge.place for edge in system_.dependencies]
    every = {
        (weakness, place): 0.0 for weakness in (*UNSAID_RATES, Weakness.SINGLE_POINT_OF_FAILURE) for place in places
    }
    for each in system_.services:
        every[Weakness.SINGLE_POINT_OF_FAILURE, each.name] = 1.0 if len(each.instances) < 2 else 0.0
    return [Believed(*key, probability) for key, probability in {**every, **present}.items()]


def at(place: str, count: int = 1) -> Target:
    caller, _, callee = place.partition("->")
    return EdgeTarget(caller=caller, callee=callee) if callee else InstanceTarget(service=caller, count=count)


def experiment(
    fault: Fault | Sequence[tuple[Fault, Target]],
    target: Target | None,
    checks: Sequence[Check],
    hypotheses: Mapping[Key, Criterion] | None = None,
    **fields: Any,
) -> Experiment:
    asked = hypotheses or {
        (Weakness.HARD_DEPENDENCY, checks[0].service): SteadyState(checks=(checks[0].id,)),
    }
    pairs = [(fault, target)] if target is not None else list(fault)  # type: ignore[arg-type]
    return Experiment(
        id="try",
        title="try",
        hypotheses=tuple(
            Hypothesis(
                id=f"h{n}",
                weakness=weakness,
                place=place,
                statement="it holds",
                criteria=(criterion,),
                prediction=Prediction(probability_breaks=0.5),
            )
            for n, ((weakness, place), criterion) in enumerate(asked.items())
        ),
        checks=tuple(checks),
        actions=tuple(Action(id=f"a{n}", fault=each, target=aim, duration_s=6) for n, (each, aim) in enumerate(pairs)),
        abort_conditions="none",
        **fields,
    )
