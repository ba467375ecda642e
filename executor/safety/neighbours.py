"""Who shares with the targets what a fault reaches, looked at right now: they are struck too, and count as such.

How far a fault reaches, its spec says (``Scope``), or its behaviour where that shows at the target; who shares it, the
target's driver says. What cannot be told, and what is no instance of the system, is a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from executor.drivers.beside import Beside
from executor.drivers.driver import Neighbourly, driver
from executor.drivers.resolve import everyone
from executor.drivers.targets import Resolved, ResolvedInstance
from executor.errors import SafetyRefusalError, UnavailableError
from executor.faults import registry
from executor.faults.behaviour import Behaviour, Narrower
from executor.model.plan import Action
from executor.model.system import Service, System
from executor.model.vocabulary import Scope
from executor.safety.limits import Limits
from executor.servers.address import address_of

_LOOKED: frozenset[Scope] = frozenset(
    {Scope.TARGET, Scope.MACHINE, Scope.NETWORK, Scope.VOLUME, Scope.DIRECTORY, Scope.SETTINGS}
)
"""What a driver is asked for; the rest shows in the system's own description."""
_MUST_TELL = _LOOKED - {Scope.TARGET, Scope.SETTINGS}
"""Of these, what a driver that cannot tell makes strangers of: the others are seldom shared."""
_NAMED_MAX = 3


@dataclass(frozen=True)
class Found:
    """What the actions strike beside what they name, by action id."""

    also: Mapping[str, frozenset[str]]
    """Instances of the system."""
    strangers: Mapping[str, tuple[str, ...]]
    """What is none of them, or of which nobody can tell, in words."""


def look(
    actions: Sequence[Action],
    targets: Mapping[str, tuple[Resolved, ...]],
    system: System,
    behaviour: Callable[[str], Behaviour] = registry.behaviour,
    *,
    every: Sequence[ResolvedInstance] | None = None,
) -> Found:
    """What shares a machine, a network, a volume, a server… with the targets. Blocks; touches nothing.

    ``every`` instance of the system that is there is looked for, unless it is given. Raises ``UnavailableError`` if a
    target is gone.
    """
    every = everyone(system) if every is None else every
    besides = {action.id: Beside() for action in actions}
    for action in actions:
        for target in targets[action.id]:
            if isinstance(target, ResolvedInstance):
                besides[action.id] |= _beside(action, target, every, system, behaviour(action.fault.kind))
    return Found(
        {name: each.instances for name, each in besides.items()},
        {name: each.strangers for name, each in besides.items() if each.strangers},
    )


def refuse_strangers(beside: Found, limits: Limits) -> None:
    """Raise ``SafetyRefusalError`` if an action would strike more that the system does not name than is allowed."""
    most = limits.blast_radius.strangers_max
    for action, strangers in beside.strangers.items():
        if len(strangers) > most:
            named = ", ".join(islice(strangers, _NAMED_MAX)) + (" …" if len(strangers) > _NAMED_MAX else "")
            raise SafetyRefusalError(
                "strangers",
                measured=f"action {action} strikes {len(strangers)} that system.yaml does not name: {named}",
                limit=f"{most} (strangers_max in limits.toml)",
                hint="Name them in system.yaml, choose a fault that reaches less far, or have the operator allow it.",
            )


def refuse_more(
    actions: Sequence[Action],
    targets: Mapping[str, tuple[Resolved, ...]],
    system: System,
    limits: Limits,
    admitted: Iterable[str],
    *,
    every: Sequence[ResolvedInstance] | None = None,
) -> None:
    """Raise ``SafetyRefusalError`` if the actions would strike by now what the run was not admitted to strike."""
    beside = look(actions, targets, system, every=every)
    refuse_strangers(beside, limits)
    for action, ids in beside.also.items():
        if more := sorted(ids - set(admitted)):
            raise SafetyRefusalError(
                "blast radius",
                measured=f"action {action} would strike {', '.join(more)} by now, beside its target",
                limit="what was there when the run began",
                hint="Approve the plan again, and run it.",
            )


def _beside(
    action: Action, target: ResolvedInstance, every: Sequence[ResolvedInstance], system: System, how: Behaviour
) -> Beside:
    scopes = how.reaches(action.fault, target) if isinstance(how, Narrower) else action.fault.reaches()
    others = [other for other in every if other.instance != target.instance]
    known = driver(target.driver)
    told = Beside()
    for scope in sorted(_LOOKED & {Scope.TARGET, *scopes}):
        if isinstance(known, Neighbourly):
            told |= _asked(partial(known.beside, target, scope, action.fault, others), target, scope)
        elif scope in _MUST_TELL:
            told |= Beside(strangers=(f"what shares the {scope.value} of {target.instance}, which is {known.noun}",))
    return told | _on_server(target.service, system) if Scope.SERVER in scopes else told


def _asked(ask: Callable[[], Beside], target: ResolvedInstance, scope: Scope) -> Beside:
    try:
        return ask()
    except UnavailableError as error:
        return Beside(strangers=(f"what shares the {scope.value} of {target.instance} ({error})",))


def _on_server(service: Service, system: System) -> Beside:
    """Services with data on the same server, by the addresses that their connection strings hold."""
    own: set[tuple[str, int]] = set()
    told = Beside()
    alike = (each for each in system.services if each is not service and _may_be_one(each, service))
    for each in (service, *alike):
        for reference in filter(None, (each.dsn, each.admin_dsn)):
            try:
                places = address_of(reference)
            except UnavailableError as error:
                told |= Beside(strangers=(f"{each.name}, perhaps, whose server cannot be told ({error})",))
                continue
            if each is service:
                own |= places
            elif own & places:
                told |= Beside(frozenset(instance.id for instance in each.instances))
    return told


def _may_be_one(one: Service, other: Service) -> bool:
    """Whether two services may be data on one server: whatever is not known to be of two makes may."""
    return one.technology is None or other.technology is None or one.technology == other.technology
