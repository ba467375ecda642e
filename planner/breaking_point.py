"""A plan that looks for the largest load one service carries, and for what it does beyond that."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from executor.errors import InputError
from executor.model.base import why_not
from executor.model.criteria import BeyondCapacity
from executor.model.digest import digest
from executor.model.faults import SPECS, FaultSpec
from executor.model.faults.service import CapacitySearch, Overload
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Plan, Prediction, Stage
from executor.model.probe import Check, HttpProbe
from executor.model.system import Service, System
from executor.model.vocabulary import Weakness
from planner import naming, words
from planner.assemble import plan_on
from planner.possible import known_service
from planner.recipes.paths import checks_of, upstream
from planner.watch import abort_conditions, checks_for, signals_for

WITHIN_MS = 500.0
SHARE = 0.95
AMPLE = 4.0
"""So many times the requests that are under way where all is just in time are allowed."""
CONCURRENCY_MAX = 1_000
PROBABILITY_BREAKS = 0.5
"""Nobody has been asked: most services let all wait that they cannot carry, many do not."""
REMEDY = (
    "Bound the queue and turn away at once (503) what cannot be served in time; give up requests whose caller has gone;"
    " retry with a budget."
)


@dataclass(frozen=True)
class Wanted:
    """What is asked for; ``None``: as the service's own operations say, or what is usual."""

    service: str
    path: str | None = None
    within_ms: float | None = None
    share: float | None = None
    at_least_rps: float | None = None
    start_rps: float = 10
    up_to_rps: float = 500
    seconds: float = 180
    """That a search takes at most; it ends when it is done."""
    under: str | None = None
    """A fault that is there meanwhile, in ``steps`` strengths, and not at first: ``network.latency:delay_ms=120``."""
    at: str | None = None
    """Its place, another service or an edge; ``None``: the calls to the one service that it depends on."""
    steps: int = 3


def plan(wanted: Wanted, system: System, *, proposer: str) -> Plan:
    """The plan. Raises ``InputError`` for what the system has not, or what no search can be made of."""
    service = known_service(system, wanted.service)
    load = _load(wanted, service)
    stages = tuple(
        Stage(experiments=(_experiment(wanted, system, load, number, under),))
        for number, under in enumerate(_faults(wanted, system), start=1)
    )
    content = {"wanted": vars(wanted), "system": digest(system)}
    return plan_on(
        system,
        plan_id=f"breaking-point-{digest(content)[7:19]}",
        proposer=proposer,
        goal=f"How much {wanted.service} carries, and what it does beyond that.",
        rationale="Each search ends when it is done, and is undone then.",
        stages=stages,
    )


def _load(wanted: Wanted, service: Service) -> Overload:
    known = _operation(service)
    if known and _tls(known, service):
        raise InputError(
            "its instances speak TLS, and the load is plain HTTP: nothing would be carried.",
            where=service.name,
            hint="Name the port in system.yaml at which they take HTTP, if there is one.",
        )
    if wanted.at_least_rps is not None and not wanted.at_least_rps <= wanted.up_to_rps:
        raise InputError(
            f"whether it carries {wanted.at_least_rps:g} requests a second cannot be seen: "
            f"no more than {wanted.up_to_rps:g} are sent.",
            where=service.name,
            hint="Raise --up-to.",
        )
    slo = known.slo if known else None
    within_ms = wanted.within_ms or (slo.latency_ms_max if slo else None) or WITHIN_MS
    share = wanted.share or (slo.availability_min if slo else SHARE)
    path = wanted.path or (_path(known) if known else "/")
    at_once = math.ceil(AMPLE * wanted.up_to_rps * within_ms / 1000)
    try:
        search = CapacitySearch(
            good_within_ms=within_ms, good_share=min(share, 0.999), start_rps=min(wanted.start_rps, wanted.up_to_rps)
        )
        return Overload(
            rate_rps=wanted.up_to_rps, concurrency=min(CONCURRENCY_MAX, max(50, at_once)), path=path, search=search
        )
    except ValueError as error:
        raise InputError(f"no search can be made of that: {why_not(error)}.", where=service.name) from None


def _operation(service: Service) -> Check | None:
    """The operation that users need most, of those that read over HTTP."""
    fit = [c for c in service.operations if isinstance(c.probe, HttpProbe) and c.probe.method == "GET"]
    return max(fit, key=lambda check: (check.critical, check.weight), default=None)


def _tls(check: Check, service: Service) -> bool:
    """Whether the operation is asked over TLS of an instance itself, and not of what stands before it."""
    assert isinstance(check.probe, HttpProbe)
    url = urlsplit(check.probe.url)
    return url.scheme == "https" and (url.port or 443) in [getattr(each, "port", None) for each in service.instances]


def _path(check: Check) -> str:
    assert isinstance(check.probe, HttpProbe)
    url = urlsplit(check.probe.url)
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def _faults(wanted: Wanted, system: System) -> Iterator[Action | None]:
    """Nothing first, then the fault that is there meanwhile, weakest first."""
    yield None
    if wanted.under is None:
        return
    caller, _, callee = _where(wanted, system).partition("->")
    target = EdgeTarget(caller=caller, callee=callee) if callee else InstanceTarget(service=caller)
    kind, _, given = wanted.under.partition(":")
    spec = next((each for each in SPECS if each.named() == kind), None)
    if spec is None or spec.target_kind != target.kind:
        fit = ", ".join(each.named() for each in SPECS if each.target_kind == target.kind and each.strength)
        what = "there is no fault" if spec is None else f"{_where(wanted, system)} takes no fault"
        raise InputError(f"{what} {kind}.", where="--under", hint=f"With a strength there are {fit}.")
    whole = _fault(spec, known_service(system, caller), given)
    for number in range(1, wanted.steps + 1):
        weaker: FaultSpec | None = whole.at(number / wanted.steps)
        if weaker is None:
            raise InputError(f"{kind} is there or it is not: it has no strength to raise.", where="--under")
        yield Action(id=f"under-{number}", fault=weaker, target=target, duration_s=wanted.seconds)


def _fault(spec: type[FaultSpec], service: Service, given: str) -> FaultSpec:
    """With parameters as one would choose them, but for those that are given: ``delay_ms=120,jitter_ms=10``."""
    usual = spec.typical(service)
    said = dict(each.partition("=")[::2] for each in given.split(",") if each)
    if usual is None and not said:
        raise InputError(spec.lacks or f"{spec.named()} needs what {service.name} lacks.", where="--under")
    kept = {} if usual is None else usual.model_dump(exclude_defaults=True, exclude={"kind"})
    try:
        return spec.model_validate({**kept, **{name: _value(text) for name, text in said.items()}})
    except ValueError as error:
        raise InputError(f"no fault can be made of that: {why_not(error)}.", where="--under") from None


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _where(wanted: Wanted, system: System) -> str:
    edges = [f"{edge.caller}->{edge.callee}" for edge in system.dependencies if edge.caller == wanted.service]
    if wanted.at is None and len(edges) == 1:
        return edges[0]
    if wanted.at in (None, wanted.service):  # two faults on one instance are refused by the executor
        places = ", ".join(edges) or "a service that it depends on"
        raise InputError(f"which place has the fault while {wanted.service} has the load?", where="--at", hint=places)
    known = [f"{edge.caller}->{edge.callee}" for edge in system.dependencies]
    if wanted.at and "->" in wanted.at and wanted.at not in known:
        hint = f"It has {', '.join(sorted(known))}." if known else "It has no dependencies."
        raise InputError(f"the system has no calls {wanted.at}.", where="--at", hint=hint)
    return wanted.at or ""


def _experiment(wanted: Wanted, system: System, load: Overload, number: int, under: Action | None) -> Experiment:
    target = InstanceTarget(service=wanted.service)
    action = Action(id=f"search-{number}", fault=load, target=target, duration_s=wanted.seconds)
    actions = (action,) if under is None else (under, action)
    affected = [c.id for c in checks_of(system) if c.service in upstream(system, wanted.service)]
    checks = checks_for(affected, target, system) or checks_of(system)
    if not checks:
        raise InputError("the system has no operations, so nothing could be watched meanwhile.", where=wanted.service)
    more = "" if under is None else f", while {words.target(under.target)}: {under.fault.words()}"
    name = naming.experiment_id(load, target) + ("" if under is None else f"-under-{number - 1}")
    hypothesis = Hypothesis(
        id=f"beyond-{name}"[:63],
        weakness=Weakness.CAPACITY_CLIFF,
        place=wanted.service,
        statement=f"{wanted.service} goes on serving what it can when more comes, and comes back after it",
        criteria=(BeyondCapacity(action=action.id, at_least_rps=wanted.at_least_rps),),
        prediction=Prediction(probability_breaks=PROBABILITY_BREAKS),
        remedy=REMEDY,
    )
    return Experiment(
        id=name,
        title=f"How much {wanted.service} carries{more}"[:400],
        hypotheses=(hypothesis,),
        checks=checks,
        signals=signals_for((), target, system),
        actions=actions,
        abort_conditions=abort_conditions(checks, affected, [target], wanted.seconds, system),
        recovery_deadline_s=15,
    )
