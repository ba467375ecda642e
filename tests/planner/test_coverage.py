"""The council's playbooks, held against the vocabulary and against systems of several sorts: nothing is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from executor.model.data_check import DataCheck
from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.plan import EdgeTarget, Experiment, GroupsTarget, InstanceTarget, Target
from executor.model.probe import DetectionSignal, HttpProbe
from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import FaultType, ServiceKind, Verdict, Weakness
from experts.brief import Brief, PastResult
from experts.entries import Entry, timeouts
from experts.playbook import COUNCIL, playbook
from experts.roster import council
from knowledge.sensitivity import SENSITIVITY
from planner.compile import compile_candidates
from planner.recipes.case import Case, Judging
from planner.recipes.table import LEFT_OUT, judging
from planner.rehearsal import rehearse
from tests.planner.systems import URL, bazaar, check, edge, service
from tests.planner.test_catalogue import ALL, city

ENTRIES = [(expert, entry) for expert in COUNCIL for entry in playbook(expert).entries]
ALIKE_MAX = 5
"""So many proposals of an entry with the same faults are looked at."""
REVEALS_MIN = 0.5
"""From this sensitivity on a type of fault counts as one that reveals the weakness."""


def borough() -> System:
    """Ordinary services: a supervised API with two optional calls behind a page; a pair; a store; loose ends."""
    api = ("page->api", "api->rates", "api->hints", "api->store")
    operations = (
        check("quote", "api", critical=True, needs=("api", "store"), exercises=api[1:], tables=("quotes",)),
        check("version", "api", needs=("api",), exercises=()),
        check("list", "api", needs=("api", "store"), exercises=("api->store",), tables=("goods",)),
    )
    signal = DetectionSignal(id="api-health", service="api", probe=HttpProbe(url=f"{URL}/health"))
    read = HttpProbe(url=f"{URL}/quotes")
    write = HttpProbe(url=f"{URL}/quotes/{{id}}", method="PUT")
    kept = DataCheck(id="quotes-kept", service="api", write=write, read=read)
    store: dict[str, Any] = {"disposable": True, "dsn": "env:STORE", "tables": ("quotes", "goods")}
    services = (
        service(
            "page", operations=(check("index", "page", critical=True, needs=("page", "api", "store"), exercises=api),)
        ),
        service(
            "api", criticality=2, technology="fastapi", operations=operations, signals=(signal,), data_checks=(kept,)
        ),
        service("rates", operations=(check("rate", "rates", needs=("rates",), exercises=()),)),
        service("hints"),
        service("store", technology="postgresql", kind=ServiceKind.DATABASE, **store),
        service(
            "pair", instances=2, operations=(check("pair-page", "pair", needs=("pair",), exercises=("page->pair",)),)
        ),
        service("loose", restarts="by_hand"),
    )
    edges = (
        edge("page", "api"),
        edge("page", "pair"),
        Dependency(**{**dict(edge("api", "rates")), "timeout_ms": 2000.0, "retries": 0}),
        edge("api", "hints"),
        edge("api", "store", "postgresql"),
        Dependency(**{**dict(edge("page", "loose")), "interception": None}),
    )
    return System(name="borough", services=services, dependencies=edges)


def reached_otherwise() -> System:
    """The city where no traffic can be led through a proxy, and nobody starts anything again."""
    whole = city()
    services = [Service(**{**dict(each), "restarts": "by_hand"}) for each in whole.services]
    edges = [Dependency(**{**dict(each), "interception": None}) for each in whole.dependencies]
    return System(**{**dict(whole), "name": "town", "services": tuple(services), "dependencies": tuple(edges)})


SYSTEMS = (city(), borough(), reached_otherwise())


def briefs() -> Iterator[Brief]:
    """Each system as nobody knows it, and as it is once everything has broken, or held, next to each place."""
    for system in SYSTEMS:
        yield Brief(system=system)
        for verdict, name in ((Verdict.BREAKS, "elsewhere"), (Verdict.HOLDS, system.name)):
            kinds = (
                "service.dependency_failure mode=error",
                "network.latency delay_ms=9000",
                "network.reset after_bytes=7",
            )
            past = tuple(
                PastResult(
                    run="run-1", system=name, experiment="e", weakness=weakness, place=one.place, fault=fault,
                    verdict=verdict, reason="seen",
                )
                for weakness in Weakness
                for one in system.dependencies
                for fault in kinds
            )  # fmt: skip
            yield Brief(system=system, past=past)
        yield Brief(system=system, past=borne(system))


def borne(system: System) -> tuple[PastResult, ...]:
    """Every caller was seen to do without what it calls: then it can be taken from it besides something else."""
    return tuple(
        PastResult(
            run="run-1", system=system.name, experiment="e", weakness=Weakness.HARD_DEPENDENCY, place=one.place,
            fault="service.dependency_failure mode=refuse", verdict=Verdict.HOLDS, reason="seen", types=("refused",),
        )
        for one in system.dependencies
    )  # fmt: skip


def compiled(brief: Brief) -> tuple[Experiment, ...]:
    proposals = [proposal for expert in council() for proposal in expert.propose(brief)]
    found = compile_candidates(proposals, (), brief, limits=ALL, weights={})
    return tuple(e for e in found.experiments if not rehearse(e, brief.system, ALL))


@pytest.fixture(scope="module")
def came_of() -> dict[str, list[Experiment]]:
    """By playbook entry, the experiments within the limits that came of it alone."""
    found: dict[str, list[Experiment]] = defaultdict(list)
    for brief in briefs():
        proposals = [proposal for expert in council() for proposal in expert.propose(brief)]
        by_entry = defaultdict(list)
        for proposal in proposals:
            alike = by_entry[proposal.source.partition(":")[0]]
            kinds = [fault.kind for fault, _ in proposal.strikes]
            if sum(kinds == [fault.kind for fault, _ in each.strikes] for each in alike) < ALIKE_MAX:
                alike.append(proposal)
        for entry, its in by_entry.items():
            if not found[entry]:
                made = compile_candidates(its, (), brief, limits=ALL, weights={}).experiments
                found[entry] += [e for e in made if not rehearse(e, brief.system, ALL)]
    return found


def test_every_weakness_is_looked_for_by_an_entry_or_it_is_said_why_not() -> None:
    assert {entry.weakness for _, entry in ENTRIES} == set(Weakness) - set(LEFT_OUT)


@pytest.mark.parametrize(("expert", "entry"), ENTRIES, ids=[f"{expert}/{entry.id}" for expert, entry in ENTRIES])
def test_every_entry_becomes_an_experiment_that_the_rules_let_pass(
    expert: str, entry: Entry, came_of: dict[str, list[Experiment]]
) -> None:
    assert came_of[f"{expert}/{entry.id}"], "it fits no place of any system, or nothing that it proposes can be judged"


def tried_types() -> dict[Weakness, set[FaultType]]:
    """By weakness, the types of the faults that entries try it with; of several at once, the first."""
    found: dict[Weakness, set[FaultType]] = defaultdict(set)
    for _, entry in ENTRIES:
        found[entry.weakness] |= {choice.made().looks() for choice in entry.faults}
    return found


def targets(place: str, fault: Fault, system: System) -> Iterator[Target]:
    caller, _, callee = place.partition("->")
    if fault.target_kind == "instances":
        yield from (InstanceTarget(service=name) for name in filter(None, (caller, callee)))
    elif fault.target_kind == "edge":
        near = (d for d in system.dependencies if d.place == place or d.caller == (callee or caller))
        yield from (EdgeTarget(caller=d.caller, callee=d.callee) for d in near)
    elif callee:
        yield GroupsTarget(a=(caller,), b=(callee,))


def judged_types() -> dict[Weakness, set[FaultType]]:
    """By weakness, the types of fault that reveal it and by which it can be judged somewhere, whoever tries them."""
    known = [choice.made() for _, entry in ENTRIES for choice in entry.faults]
    alike = {(fault.looks(), fault.target_kind): fault for fault in known}
    found: dict[Weakness, set[FaultType]] = defaultdict(set)
    for system in (bazaar(), borough(), city()):
        places = [each.name for each in system.services] + [each.place for each in system.dependencies]
        for (looks, _), fault in alike.items():
            revealed = [w for w in Weakness if SENSITIVITY[w].get(looks, 0) >= REVEALS_MIN and looks not in found[w]]
            for weakness in revealed:
                cases = (Case(system, weakness, p, fault, t) for p in places for t in targets(p, fault, system))
                if any(isinstance(judging(case), Judging) for case in cases):
                    found[weakness].add(looks)
    return found


def test_every_type_of_fault_that_reveals_a_weakness_is_tried_by_an_entry() -> None:
    tried = tried_types()
    left_out = {w.value: sorted(types - tried[w]) for w, types in judged_types().items() if types - tried[w]}
    assert left_out == {}


def test_entries_choose_delay_repetition_load_and_combination() -> None:
    choices = [choice for _, entry in ENTRIES for choice in entry.faults]
    delays = {times for choice in choices for value in choice.fault.values() if (times := timeouts(value))}
    assert min(delays) <= 0.5, "well within the time-out: slow and not dead"
    assert any(1 < times <= 1.5 for times in delays), "just above it"
    assert max(delays) >= 3, "far above it"
    assert any(choice.trials > 1 for choice in choices)
    assert any(choice.concurrency >= 6 for choice in choices)
    assert any(choice.beside for choice in choices)


def test_combination_and_repetition_reach_the_experiment(came_of: dict[str, list[Experiment]]) -> None:
    made = [experiment for its in came_of.values() for experiment in its]
    together = [e for e in made if len(e.actions) == 2]
    assert all(len({action.duration_s for action in e.actions}) == 1 and not e.actions[1].start_s for e in together)
    kinds = {frozenset(action.fault.kind for action in e.actions) for e in together}
    assert frozenset({"service.crash", "service.dependency_failure"}) in kinds, "a fault during a restart"
    assert frozenset({"service.hang", "service.overload"}) in kinds, "one of several lost under more load"
    assert frozenset({"service.dependency_failure"}) in kinds, "two dependencies lost at once"
    assert any(e.trials == 3 for e in made)


def test_a_delay_goes_by_the_time_out_of_its_edge() -> None:
    brief = Brief(system=borough())
    delays = {
        a.fault.delay_ms
        for e in compiled(brief)
        for a in e.actions
        if isinstance(a.fault, Latency) and a.target == EdgeTarget(caller="api", callee="rates")
    }
    assert {1000.0, 2400.0, 6000.0} <= delays, "half of, just above and three times the 2 s that are said"
