"""Whether the processes that a plan would strike are the ones it means, and no others that must not be struck."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping

from executor.drivers.resolve import found
from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import SafetyRefusalError, UnavailableError
from executor.kernel import process
from executor.model.system import ProcessInstance, Service, System
from executor.safety.limits import Limits

Targets = Mapping[str, tuple[Resolved, ...]]
"""What each action strikes, by action id."""

_HINT = "Make the instances' commands or ports more exact, or choose another target."


def refuse_ourselves(targets: Targets) -> None:
    """Raise ``SafetyRefusalError`` for our own process or one we live under: who strikes it cannot undo it any more."""
    own = {1, *_lineage(os.getpid())}
    for action, target in _struck(targets):
        if target.pid in own:
            raise SafetyRefusalError(
                "own processes",
                measured=f"action {action} strikes {target.instance}, process {target.pid}, under which Murphy runs",
                limit="only processes that Murphy does not depend on",
                hint=_HINT,
            )


def refuse_same_process(targets: Targets, system: System) -> None:
    """Raise ``SafetyRefusalError`` if one process is two instances: more would be hurt than the plan says."""
    pids = {target.pid for _, target in _struck(targets)}
    names: dict[int, set[str]] = defaultdict(set)
    for _, target in _struck(targets):
        names[target.pid].add(target.instance)
    for service in system.services:
        for instance, pid in _running(service):
            if pid in pids:
                names[pid].add(instance)
    for pid, instances in sorted(names.items()):
        if len(instances) > 1:
            raise SafetyRefusalError(
                "distinct targets",
                measured=f"{' and '.join(sorted(instances))} are one process, {pid}",
                limit="a process of its own for each instance",
                hint=_HINT,
            )


def refuse_above_protected(targets: Targets, system: System, limits: Limits) -> None:
    """Raise ``SafetyRefusalError`` for a process that a protected service's process was started by and lives under."""
    struck = {target.pid: (action, target.instance) for action, target in _struck(targets)}
    for service in system.services:
        if not service.protected and service.name not in limits.protected_services:
            continue
        for instance, pid in _running(service):
            for above in _lineage(pid):
                if above in struck:
                    action, name = struck[above]
                    raise SafetyRefusalError(
                        "protected services",
                        measured=f"action {action} strikes {name}, process {above}, under which {instance} runs",
                        limit=f"never {service.name}",
                        hint=_HINT,
                    )


def _struck(targets: Targets) -> Iterator[tuple[str, ProcessTarget]]:
    for action, resolved in targets.items():
        yield from ((action, target) for target in resolved if isinstance(target, ProcessTarget))


def _running(service: Service) -> Iterator[tuple[str, int]]:
    """The service's instances with their processes; with all that fit, where it is not clear which one is meant."""
    for instance in service.instances:
        try:
            target = found(service, instance)
        except UnavailableError:
            if isinstance(instance, ProcessInstance) and instance.pid is None:
                yield from ((instance.id, pid) for pid in process.heads_of(instance))
            continue
        if isinstance(target, ProcessTarget):
            yield instance.id, target.pid


def _lineage(pid: int) -> Iterator[int]:
    """A process and its ancestors."""
    above: int | None = pid
    while above:
        yield above
        above = process.parent(above)
