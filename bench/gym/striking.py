"""What Murphy's faults do to a simulated system: one small function a kind, each giving back how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.gym.parts import Disturbance, Instance
from bench.gym.simulation import Simulation
from executor.model.faults import SPECS
from executor.model.plan import Action, EdgeTarget, GroupsTarget, InstanceTarget

Undo = Callable[[], None]
SILENT_PERCENT = 90.0
"""Loss from which on an instance is as good as cut off; what is less, the simulation does not know."""


def strike(simulation: Simulation, action: Action) -> Undo:
    """Do it now; returns what undoes it. Raises ``KeyError`` for a kind of fault that the simulation does not know."""
    undoings = _STRIKES[action.fault.kind](simulation, action)

    def undo_all() -> None:
        for undo in undoings:
            undo()

    return undo_all


def unknown() -> tuple[tuple[str, str], ...]:
    """What a brief says of the kinds that cannot be done here: (kind at any place, why)."""
    return tuple(
        (f"{spec.named()} at *", "the simulation does not know it") for spec in SPECS if spec.named() not in _STRIKES
    )


def struck(action: Action, simulation: Simulation) -> list[Instance]:
    """The instances that it means; none of an edge."""
    target = action.target
    if not isinstance(target, InstanceTarget):
        return []
    there = sorted(simulation.instances[target.service], key=lambda i: i.name)
    return [i for i in there if i.name in target.ids] if target.ids else there[: target.count]


def _edges(action: Action, simulation: Simulation) -> Iterator[tuple[str, str]]:
    target = action.target
    if isinstance(target, EdgeTarget):
        yield target.caller, target.callee
    elif isinstance(target, GroupsTarget):
        for a, b in simulation.edges:
            if (a in target.a and b in target.b) or (a in target.b and b in target.a):
                yield a, b


def _disturbed(made: Callable[[Any], Disturbance]) -> Callable[[Simulation, Action], list[Undo]]:
    def strikes(simulation: Simulation, action: Action) -> list[Undo]:
        undoings: list[Undo] = []
        for edge in _edges(action, simulation):
            simulation.disturb(edge, made(action.fault))
            undoings.append(partial(simulation.disturb, edge, None))
        return undoings

    return strikes


def _on_each(
    do: Callable[[Simulation, Instance, Any], None], undo: Callable[[Simulation, Instance, Any], None]
) -> Callable[[Simulation, Action], list[Undo]]:
    def strikes(simulation: Simulation, action: Action) -> list[Undo]:
        undoings: list[Undo] = []
        for instance in struck(action, simulation):
            do(simulation, instance, action.fault)
            undoings.append(partial(undo, simulation, instance, action.fault))
        return undoings

    return strikes


def _failing(fault: Any) -> Disturbance:
    if fault.mode == "slow":
        return Disturbance(delay_s=fault.delay_ms / 1000)
    return {
        "refuse": Disturbance(outcome="refused"),
        "blackhole": Disturbance(silent=True),
        "error": Disturbance(outcome="5xx"),
    }[fault.mode]


def _error(fault: Any) -> Disturbance:
    return Disturbance(outcome="5xx" if fault.status >= 500 else "4xx", probability=fault.probability)


def _partition(fault: Any) -> Disturbance:
    return Disturbance(silent=True) if fault.how == "drop" else Disturbance(outcome="refused")


def _dies(simulation: Simulation, instance: Instance, fault: Any) -> None:
    simulation.kill(instance, supervised=fault.restart == "supervisor")


def _back(simulation: Simulation, instance: Instance, fault: Any) -> None:
    if fault.restart == "murphy":
        simulation.revive(instance)


def _dies_again(simulation: Simulation, instance: Instance, fault: Any) -> None:
    for number in range(fault.times):
        simulation.events.at(simulation.events.now + number * fault.every_s, simulation.kill, instance)


def _slows(_simulation: Simulation, instance: Instance, fault: Any) -> None:
    share = getattr(fault, "cpu_percent", None) or fault.quota_percent
    instance.slow = max(1.0, 100.0 / share)


def _speeds_up(_simulation: Simulation, instance: Instance, _fault: Any) -> None:
    instance.slow = 1.0


def _takes(_simulation: Simulation, instance: Instance, fault: Any) -> None:
    if instance.server.thread_each:
        instance.taken = fault.count


def _narrows(_simulation: Simulation, instance: Instance, fault: Any) -> None:
    instance.room = instance.busy + fault.leave


def _frees(simulation: Simulation, instance: Instance, _fault: Any) -> None:
    simulation.free(instance)


def _hangs(simulation: Simulation, instance: Instance, _fault: Any) -> None:
    simulation.hang(instance)


def _loses(simulation: Simulation, instance: Instance, fault: Any) -> None:
    if fault.percent >= SILENT_PERCENT:
        simulation.hang(instance)


def _goes_on(simulation: Simulation, instance: Instance, _fault: Any) -> None:
    simulation.go_on(instance)


def _nothing(_simulation: Simulation, _instance: Instance, _fault: Any) -> None:
    """Undone by itself."""


def _flushes(simulation: Simulation, instance: Instance, _fault: Any) -> None:
    if instance.service in simulation.warm:
        simulation.warm[instance.service] = 0.0


def _sessions(simulation: Simulation, action: Action) -> list[Undo]:
    assert isinstance(action.target, InstanceTarget)
    fault: Any = action.fault
    service = action.target.service
    if fault.how != "refuse_new":
        simulation.cut_sessions(service)
    if fault.how == "terminate":
        return []
    edges = [edge for edge in simulation.edges if edge[1] == service]
    for edge in edges:
        simulation.disturb(edge, Disturbance(outcome="refused"))
    return [partial(simulation.disturb, edge, None) for edge in edges]


_STRIKES: dict[str, Callable[[Simulation, Action], list[Undo]]] = {
    "network.latency": _disturbed(lambda fault: Disturbance(delay_s=fault.delay_ms / 1000)),
    "network.reset": _disturbed(lambda fault: Disturbance(outcome="reset", probability=fault.probability)),
    "network.partition": _disturbed(_partition),
    "network.loss": _on_each(_loses, _goes_on),
    "service.dependency_failure": _disturbed(_failing),
    "service.error": _disturbed(_error),
    "service.timeout": _disturbed(lambda fault: Disturbance(silent=True, probability=fault.probability)),
    "service.corrupt_response": _disturbed(
        lambda fault: Disturbance(outcome="malformed", probability=fault.probability)
    ),
    "service.crash": _on_each(_dies, _back),
    "service.stop": _on_each(_dies, _back),
    "service.hang": _on_each(_hangs, _goes_on),
    "service.restart_loop": _on_each(_dies_again, _nothing),
    "service.slowdown": _on_each(_slows, _speeds_up),
    "resource.cpu_throttle": _on_each(_slows, _speeds_up),
    "resource.connections": _on_each(_takes, _frees),
    "resource.file_descriptors": _on_each(_narrows, _frees),
    "data.cache_flush": _on_each(_flushes, _nothing),
    "data.connection_failure": _sessions,
}
