"""Whether the processes that a plan would strike are the ones it means, and no others that must not be struck."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from executor.clock import boot_id
from executor.drivers.targets import ProcessTarget, Resolved, ResolvedInstance, SshTarget
from executor.errors import SafetyRefusalError
from executor.kernel import process
from executor.safety.limits import Limits

Targets = Mapping[str, tuple[Resolved, ...]]
"""What each action strikes, by action id."""

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
