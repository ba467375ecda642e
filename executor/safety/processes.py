"""Whether the processes that a plan would strike are the ones it means, and no others that must not be struck."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeGuard

from executor.clock import boot_id
from executor.drivers.targets import ProcessTarget, Resolved, ResolvedInstance, SshTarget
from executor.errors import SafetyRefusalError, UnavailableError
from executor.kernel import process
from executor.safety.limits import Limits

Targets = Mapping[str, tuple[Resolved, ...]]
"""What each action strikes, by action id."""

_OF_TWO = "Leave one of the two out of system.yaml, as they are one program, or give the worker a script of its own."
_HINT = "Make the instances' commands or ports more exact, or choose another target."


Process = tuple[str, int]
"""The boot of its machine, and its pid there."""


def refuse_ourselves(targets: Targets) -> None:
    """Raise ``SafetyRefusalError`` for our own process or one we live under: who strikes it cannot undo it any more."""
    own = {(boot_id(), pid) for pid in (1, *process.lineage(os.getpid()))}
    for action, name, struck in _struck(targets):
        if struck in own:
            raise SafetyRefusalError(
                "own processes",
                measured=f"action {action} strikes {name}, process {struck[1]}, under which Murphy runs",
                limit="only processes that Murphy does not depend on",
                hint=_HINT,
            )


def refuse_same_process(targets: Targets, every: Iterable[ResolvedInstance]) -> None:
    """Raise ``SafetyRefusalError`` if one process is two instances: more would be hurt than the plan says.

    ``every`` instance of the system that is there is asked, as ``everyone`` finds them.
    """
    names: dict[Process, set[str]] = defaultdict(set)
    for _, name, struck in _struck(targets):
        names[struck].add(name)
    for one in every:
        if isinstance(one, ProcessTarget | SshTarget) and _lineage(one)[0] in names:
            names[_lineage(one)[0]].add(one.instance)
    for struck, instances in sorted(names.items()):
        if len(instances) > 1:
            raise SafetyRefusalError(
                "distinct targets",
                measured=f"{' and '.join(sorted(instances))} are one process, {struck[1]}",
                limit="a process of its own for each instance",
                hint=_HINT,
            )


def refuse_shared_members(targets: Targets, every: Iterable[ResolvedInstance]) -> None:
    """Raise ``SafetyRefusalError`` if a process of a target, a worker perhaps, is another instance's too.

    With the target it would be struck, and nobody would bring it back as what else it is. ``every`` instance of the
    system that is there is asked, as ``everyone`` finds them.
    """
    others = [(one, _lineage(one)[0]) for one in every if _is_by_itself(one)]
    for action, target in ((action, each) for action, resolved in targets.items() for each in resolved):
        if not _is_by_itself(target):
            continue  # what is in a container or on a machine goes with it, and is counted
        own, lineage = members(target), _lineage(target)
        for one, head in others:
            if one.instance == target.instance:
                continue
            if shared := {head} & own or (members(one) & own if head in lineage else set()):
                raise SafetyRefusalError(
                    "distinct targets",
                    measured=f"action {action} strikes {target.instance}, process {target.pid} with its workers, and "
                    f"process {min(shared)[1]} of them is {one.instance}'s too",
                    limit="processes of its own for each instance",
                    hint=_OF_TWO,
                )


def members(target: ProcessTarget | SshTarget) -> set[Process]:
    """A process and its workers; none if it has ended."""
    if isinstance(target, SshTarget):
        return {(target.boot, pid) for pid in (target.pid, *target.workers)}
    try:
        return {(boot_id(), pid) for pid, _ in process.members(target.pid, target.start_ticks)}
    except UnavailableError:
        return set()


def _is_by_itself(one: Resolved) -> TypeGuard[ProcessTarget | SshTarget]:
    """Whether it is a process that is looked for as such, not what is around others."""
    return isinstance(one, ProcessTarget | SshTarget) and one.driver in ("process", "ssh")


def refuse_above_protected(targets: Targets, every: Iterable[ResolvedInstance], limits: Limits) -> None:
    """Raise ``SafetyRefusalError`` for a process that a protected service's process was started by and lives under."""
    named = {struck: (action, name) for action, name, struck in _struck(targets)}
    for one in every:
        if not isinstance(one, ProcessTarget | SshTarget) or not (
            one.service.protected or one.service.name in limits.protected_services
        ):
            continue
        for above in _lineage(one):
            if above in named:
                action, name = named[above]
                raise SafetyRefusalError(
                    "protected services",
                    measured=f"action {action} strikes {name}, process {above[1]}, under which {one.instance} runs",
                    limit=f"never {one.service.name}",
                    hint=_HINT,
                )


def _struck(targets: Targets) -> Iterator[tuple[str, str, Process]]:
    """Action, instance and process; what is no process, as far as we see, is left out."""
    for action, resolved in targets.items():
        for target in resolved:
            if isinstance(target, ProcessTarget | SshTarget):
                yield action, target.instance, _lineage(target)[0]


def _lineage(target: ProcessTarget | SshTarget) -> list[Process]:
    """A process and its ancestors."""
    if isinstance(target, SshTarget):
        return [(target.boot, pid) for pid in (target.pid, *target.above)]
    return [(boot_id(), above) for above in process.lineage(target.pid)]
