"""What an experiment watches: checks at a bearable rate, signals, and what must not happen while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from executor.model.data_check import DataCheck
from executor.model.plan import AbortCondition, EdgeTarget, GroupsTarget, InstanceTarget, Target
from executor.model.probe import Check, DetectionSignal
from executor.model.system import System
from executor.safety.reach import beneath
from planner.recipes.paths import checks_of, feels, may_suffer

RATE_MAX_HZ = 60.0
"""All checks of an experiment together: more would load a small machine enough to be felt."""
RATE_MIN_HZ = 3.0
"""Below this a check shows too little in a fault of a few seconds."""
BYSTANDER_HZ = 4.0
BYSTANDERS_MAX = 4
SIGNALS_MAX = 3
ABORT_BELOW = 0.5
ABORT_OF = 12


def checks_for(needed: Iterable[str], target: Target, system: System) -> tuple[Check, ...]:
    """The needed checks, and a few that should feel nothing: critical ones first, one service each."""
    wanted = set(needed)
    needed_checks = [check for check in checks_of(system) if check.id in wanted]
    bystanders = _bystanders(target, system, wanted)
    spare_hz = max(0.0, RATE_MAX_HZ - sum(check.rate_hz for check in needed_checks))
    bystanders = bystanders[: int(spare_hz / BYSTANDER_HZ)] or bystanders[:1]
    left_hz = RATE_MAX_HZ - BYSTANDER_HZ * len(bystanders)
    scale = min(1.0, left_hz / sum(check.rate_hz for check in needed_checks)) if needed_checks else 1.0
    chosen = {
        check.id: _at(check, max(min(RATE_MIN_HZ, check.rate_hz), check.rate_hz * scale)) for check in needed_checks
    }
    chosen.update({check.id: _at(check, min(check.rate_hz, BYSTANDER_HZ)) for check in bystanders})
    return tuple(chosen[check.id] for check in checks_of(system) if check.id in chosen)


def abort_conditions(
    checks: Iterable[Check], expected: Iterable[str], targets: Sequence[Target], fault_s: float, system: System
) -> tuple[AbortCondition, ...] | Literal["none"]:
    """Collateral ends the experiment, expected impact does not: conditions on checks that should feel nothing.

    Critical ones if there are any, else the others. ``expected`` names the checks that a hypothesis speaks of.
    ``none`` where everything that is watched may be hurt by design; the guard's own limits hold even then.
    """
    hurt = set(expected)
    spared = [c for c in checks if c.id not in hurt and not any(may_suffer(c, target, system) for target in targets)]
    chosen = [c for c in spared if c.critical] or spared
    conditions = tuple(
        AbortCondition(check=c.id, availability_below=ABORT_BELOW, of=of)
        for c in chosen
        if (of := min(ABORT_OF, int(c.rate_hz * fault_s))) >= 2
    )
    return conditions or "none"


def signals_for(needed: Iterable[str], target: Target, system: System) -> tuple[DetectionSignal, ...]:
    """Signals that hypotheses name, and those of the struck services, so that times to detect are measured too."""
    wanted = set(needed)
    near = set(_struck(target))
    ranked = [
        signal
        for service in system.services
        for signal in service.signals
        if signal.id in wanted or service.name in near
    ]
    ranked.sort(key=lambda signal: (signal.id not in wanted, signal.instance is not None))
    return tuple(ranked[: max(SIGNALS_MAX, len(wanted))])


def data_checks_for(target: Target, system: System) -> tuple[DataCheck, ...]:
    """All that the system's owner declares of the struck services and of those that depend on them."""
    struck = set(_struck(target))
    return tuple(
        check
        for service in system.services
        for check in service.data_checks
        if beneath({check.service}, system) & struck
    )


def _bystanders(target: Target, system: System, taken: set[str]) -> list[Check]:
    spared = [c for c in checks_of(system) if c.id not in taken and not feels(c, target, system)]
    by_service: dict[str, Check] = {}
    for check in sorted(spared, key=lambda c: (not c.critical, c.id)):
        by_service.setdefault(check.service, check)
    ranked = sorted(by_service.values(), key=lambda c: (not c.critical, c.id))
    return ranked[:BYSTANDERS_MAX]


def _struck(target: Target) -> tuple[str, ...]:
    if isinstance(target, InstanceTarget):
        return (target.service,)
    if isinstance(target, EdgeTarget):
        return (target.callee, target.caller)
    assert isinstance(target, GroupsTarget)
    return (*target.a, *target.b)


def _at(check: Check, rate_hz: float) -> Check:
    return Check.model_validate({**check.model_dump(), "rate_hz": round(rate_hz, 2) or rate_hz})
