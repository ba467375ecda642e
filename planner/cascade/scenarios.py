"""Ways of striking a service, each a scenario of how failures spread."""

from __future__ import annotations

from dataclasses import dataclass

from executor.errors import InputError
from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, Hang
from executor.model.plan import EdgeTarget, InstanceTarget
from executor.model.system import Service, System
from executor.model.wording import many
from planner.cascade.questions import Blow
from planner.cascade.scenario import Scenario
from planner.possible import possible
from planner.recipes.paths import upstream

SLOW = Latency(delay_ms=3000)


@dataclass(frozen=True)
class Struck:
    """A scenario, once it is chosen."""

    scenario: Scenario
    blows: tuple[Blow, ...]
    """In the order in which they are tried: what is milder comes first."""
    notes: tuple[str, ...] = ()


def choose(scenario: Scenario, name: str, system: System, kill: int | None = None) -> Struck:
    """What is done to the service. ``kill``: how many instances; by default all, or one where others are to inherit.

    Looks at processes to see what can be done here; touches none. Raises ``InputError`` where the scenario does not
    fit the service.
    """
    service = system.service(name)
    if not service.instances:
        raise InputError(f"no instance of {name} is known, so none can be struck.", where=name)
    if scenario is Scenario.AUTO:
        scenario = _fitting(service, system)
    _refuse_unfit(scenario, service, system, kill)
    if scenario is Scenario.REDISTRIBUTION:
        return Struck(scenario, (_loss(service, kill or 1),))
    count = kill or len(service.instances)
    blows, notes = [_loss(service, count), _silence(service, count)], tuple[str, ...]()
    if scenario is not Scenario.DEPENDENCY:
        slow, notes = _slow(service, system, count)
        blows = [*slow, _loss(service, count)]
    return Struck(scenario, tuple(dict.fromkeys(blows)), notes)


def _fitting(service: Service, system: System) -> Scenario:
    if len(service.instances) > 1:
        return Scenario.REDISTRIBUTION
    return Scenario.LINEAR if _is_chain(service.name, system) else Scenario.TREE


def _is_chain(name: str, system: System) -> bool:
    above = upstream(system, name)
    return all(len({e.caller for e in system.dependencies if e.callee == each}) <= 1 for each in above)


def _refuse_unfit(scenario: Scenario, service: Service, system: System, kill: int | None) -> None:
    instances = len(service.instances)
    if kill is not None and kill > instances:
        raise InputError(f"{service.name} has {many(instances, 'instance')}.", where="--kill")
    if scenario is Scenario.REDISTRIBUTION and (kill or 1) >= instances:
        left = f"{service.name} has {many(instances, 'instance')}, so that nobody would be left to inherit the load."
        raise InputError(left, where="--scenario redistribution", hint="Take --scenario dependency, or kill fewer.")
    if scenario is Scenario.LINEAR and not _is_chain(service.name, system):
        said = f"the callers of {service.name} branch."
        raise InputError(said, where="--scenario linear", hint="Take --scenario tree.")


def _loss(service: Service, count: int) -> Blow:
    """Gone for the whole time; where a supervisor would have it back before anything spreads, silent instead."""
    if service.restarts == "supervised" or any(each.driver == "kubernetes" for each in service.instances):
        return _silence(service, count)
    return _blow(Crash(restart="murphy"), service, count, "gone")


def _silence(service: Service, count: int) -> Blow:
    return _blow(Hang(), service, count, "silent")


def _blow(fault: Fault, service: Service, count: int, how: str) -> Blow:
    instances = len(service.instances)
    who = "which is" if count == instances == 1 else f"{count} of whose {instances} instances are"
    return Blow(f"{who} {how}", fault, InstanceTarget(service=service.name, count=count))


def _slow(service: Service, system: System, count: int) -> tuple[list[Blow], tuple[str, ...]]:
    """The calls of each caller by itself are late; where they cannot be reached, the service does not answer at all."""
    blows: list[Blow] = []
    notes: list[str] = []
    for edge in system.dependencies:
        if edge.callee != service.name:
            continue
        target = EdgeTarget(caller=edge.caller, callee=edge.callee)
        if why := possible(system, edge.place).get(SLOW.kind, "there is no such fault"):
            notes.append(
                f"calls on {edge.place} cannot be delayed here ({why.rstrip('.')}); {service.name} hangs instead"
            )
        else:
            blows.append(Blow(f"which is slow for {edge.caller}", SLOW, target))
    return blows + ([_silence(service, count)] if notes else []), tuple(notes)
