"""Whether the processes that a plan would strike are the ones it means, and no others that must not be struck."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from executor.drivers.targets import ProcessTarget, Resolved, ResolvedInstance
from executor.errors import SafetyRefusalError
from executor.kernel import process
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


def refuse_same_process(targets: Targets, every: Iterable[ResolvedInstance]) -> None:
    """Raise ``SafetyRefusalError`` if one process is two instances: more would be hurt than the plan says.

    ``every`` instance of the system that is there is asked, as ``everyone`` finds them.
    """
    pids = {target.pid for _, target in _struck(targets)}
    names: dict[int, set[str]] = defaultdict(set)
    for _, target in _struck(targets):
        names[target.pid].add(target.instance)
    for one in every:
        if isinstance(one, ProcessTarget) and one.pid in pids:
            names[one.pid].add(one.instance)
    for pid, instances in sorted(names.items()):
        if len(instances) > 1:
            raise SafetyRefusalError(
                "distinct targets",
                measured=f"{' and '.join(sorted(instances))} are one process, {pid}",
                limit="a process of its own for each instance",
                hint=_HINT,
            )


def refuse_above_protected(targets: Targets, every: Iterable[ResolvedInstance], limits: Limits) -> None:
    """Raise ``SafetyRefusalError`` for a process that a protected service's process was started by and lives under."""
    struck = {target.pid: (action, target.instance) for action, target in _struck(targets)}
    for one in every:
        if not isinstance(one, ProcessTarget) or not (
            one.service.protected or one.service.name in limits.protected_services
        ):
            continue
        for above in _lineage(one.pid):
            if above in struck:
                action, name = struck[above]
                raise SafetyRefusalError(
                    "protected services",
                    measured=f"action {action} strikes {name}, process {above}, under which {one.instance} runs",
                    limit=f"never {one.service.name}",
                    hint=_HINT,
                )


def _struck(targets: Targets) -> Iterator[tuple[str, ProcessTarget]]:
    for action, resolved in targets.items():
        yield from ((action, target) for target in resolved if isinstance(target, ProcessTarget))


def _lineage(pid: int) -> Iterator[int]:
    """A process and its ancestors."""
    above: int | None = pid
    while above:
        yield above
        above = process.parent(above)
