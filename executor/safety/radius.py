"""How much may be touched at one moment, by one plan and by all runs together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

from executor.model.plan import Experiment
from executor.model.system import System
from executor.safety.case import Case, Refusals, no
from executor.safety.limits import Limits
from executor.safety.reach import together
from executor.safety.touch import Touched
from executor.state.journal import Reach, RunRow
from executor.state.rows import ELSEWHERE

_ROUNDING = 1e-9
_WAIT = "Wait for its end."


def most(percent: float, total: int) -> int:
    """How many of ``total`` a share allows: rounded down, and always one, or a small system could not be tested."""
    return max(1, math.floor(total * percent / 100 + _ROUNDING))


def _refuse_unread(running: Sequence[RunRow]) -> None:
    for row in running:
        if row.unread:
            raise no("runs under way", row.unread, "runs whose reach is known", "murphy recover undoes what it left.")


def joint(reach: Reach, running: Sequence[RunRow], system: System, limits: Limits) -> None:
    """Refuse to begin a run of that reach beside those under way; for ``Journal.admit``, within its transaction.

    The sum over all runs is what is limited; one run alone is measured by ``refusals``. A run whose executor has died
    counts until it is recovered. Raises ``SafetyRefusalError``.
    """
    if not running:
        return
    _refuse_unread(running)
    names = ", ".join(row.run for row in running)
    hint = next((said for row in running if (said := _hint(row)) != _WAIT), _WAIT)
    if len(running) >= limits.concurrent_runs_max:
        raise no("concurrent runs", f"there is {names} under way", f"{limits.concurrent_runs_max} at a time", hint)
    for row in running:
        if shared := sorted(set(reach.targets) & set(row.reach.targets)):
            raise no("overlapping targets", f"{row.run} works on {', '.join(shared)}", "one run on a target", hint)
    refuse_bodies(reach.bodies, running)
    others = [row.reach for row in running]
    for rule, total, what, limit in (
        ("blast radius", reach.instances + sum(o.instances for o in others), "", _instances(system, limits)),
        ("blast radius", reach.services + sum(o.services for o in others), "", _services(system, limits)),
        ("concurrent faults", reach.faults + sum(o.faults for o in others), "", _faults(limits)),
        (
            "blast radius",
            min(100, reach.traffic + sum(o.traffic for o in others)),
            " % of what users do",
            _traffic(limits),
        ),
        (
            "protected impact",
            min(100, reach.protected + sum(o.protected for o in others)),
            " % of a protected service's work",
            _protected_impact(limits),
        ),
    ):
        if total > limit[0] + _ROUNDING:
            raise no(rule, f"together with {names} it would be {total:.6g}{what} at once", limit[1], hint)
    for row in running:
        if leant := {*reach.struck} & {*row.reach.leans} or {*row.reach.struck} & {*reach.leans}:
            measured = f"this run and {row.run}: one strikes {', '.join(sorted(leant))}, on which the other depends"
            raise no("shared dependencies", measured, "runs that cannot feel each other", hint)


def refuse_bodies(bodies: Iterable[str], running: Sequence[RunRow]) -> None:
    """Raise ``SafetyRefusalError`` if another run works on one of these very processes or machines.

    Another description of the system may call it otherwise; ``executor.safety.bodies`` says what it is.
    """
    _refuse_unread(running)
    for row in running:
        if shared := sorted(each.split("/")[0] for each in {*bodies} & {*row.reach.bodies}):
            measured = f"{row.run} works on {', '.join(shared)}, whatever it is called there"
            raise no("overlapping targets", measured, "one run on a target", _hint(row))


def _hint(row: RunRow) -> str:
    if row.elsewhere:
        return f"{_WAIT} If it has died: {ELSEWHERE}."
    return _WAIT if row.alive else "Its executor has died: murphy recover ends it."


def _instances(system: System, limits: Limits) -> tuple[int, str]:
    total = sum(len(service.instances) for service in system.services)
    percent = limits.blast_radius.instances_percent
    return (allowed := most(percent, total)), f"{allowed} of {total} instances ({percent:g} %, at least one)"


def _services(system: System, limits: Limits) -> tuple[int, str]:
    total = len(system.services)
    percent = limits.blast_radius.services_percent
    return (allowed := most(percent, total)), f"{allowed} of {total} services ({percent:g} %, at least one)"


def _faults(limits: Limits) -> tuple[int, str]:
    return limits.concurrent_faults_max, f"{limits.concurrent_faults_max} faults at once"


def _traffic(limits: Limits) -> tuple[float, str]:
    percent = limits.blast_radius.traffic_percent
    return percent, f"{percent:g} % of what users do (traffic_percent in limits.toml)"


def _protected_impact(limits: Limits) -> tuple[float, str]:
    percent = limits.blast_radius.protected_impact_percent
    return percent, f"{percent:g} % (protected_impact_percent in limits.toml)"


def blast_radius(case: Case) -> Refusals:
    """A stage that touches too many instances or services, or too much of what users do, at one moment."""
    for number, worst in enumerate(case.peaks, start=1):
        if worst.single:
            continue
        for touches, what, (allowed, limit) in (
            (worst.instances, "instances", _instances(case.system, case.limits)),
            (worst.services, "services", _services(case.system, case.limits)),
            (worst.traffic, "% of what users do", _traffic(case.limits)),
        ):
            if touches > allowed + _ROUNDING:
                measured = f"stage {number} touches {touches:.3g} {what} at once"
                hint = "Strike fewer, one after another, in stages of their own, or by what reaches less far."
                yield no("blast radius", measured, limit, hint)


def protected_impact(case: Case) -> Refusals:
    """A stage that is predicted to take too much from a protected service, by way of what that depends on."""
    allowed, limit = _protected_impact(case.limits)
    for number, worst in enumerate(case.peaks, start=1):
        for name, lost in sorted(worst.protected.items()):
            if lost > allowed + _ROUNDING:
                measured = (
                    f"in stage {number} {name}, which is protected, is predicted to lose {lost:.3g} % of its work"
                )
                hint = f"Strike what {name} does not depend on, or fewer of several instances."
                yield no("protected impact", measured, limit, hint)


def concurrent_faults(case: Case) -> Refusals:
    """A stage with too many faults at one moment."""
    allowed, limit = _faults(case.limits)
    for number, worst in enumerate(case.peaks, start=1):
        if worst.faults > allowed:
            hint = "Put experiments in stages of their own, or actions one after another."
            yield no("concurrent faults", f"stage {number} has {worst.faults} faults at once", limit, hint)


def overlapping_targets(case: Case) -> Refusals:
    """Two faults at once on one thing could not be told apart, nor safely undone in any order."""
    hint = "Let one end well before the other begins."
    for experiment in case.plan.experiments:
        struck = {action.id: _struck(case.touches(action)) for action in experiment.actions}
        clashes = {
            (one.id, two.id): shared
            for moment in together(experiment)
            for one, two in combinations(moment, 2)
            if (shared := struck[one.id] & struck[two.id])
        }
        for (one_id, two_id), shared in clashes.items():
            measured = f"actions {one_id} and {two_id} strike {', '.join(sorted(shared))} at once"
            yield no("overlapping targets", measured, "one fault on a target", hint)
    for stage in case.plan.stages:
        for first, second in combinations(stage.experiments, 2):
            if shared := _reached(first, case) & _reached(second, case):
                measured = f"{first.id} and {second.id} work on {', '.join(sorted(shared))} side by side"
                hint = "Put them in stages of their own."
                yield no("overlapping targets", measured, "one experiment on a target", hint)


def _struck(each: Touched) -> frozenset[str]:
    return each.edges or each.instances


def _reached(experiment: Experiment, case: Case) -> frozenset[str]:
    every = [case.touches(action) for action in experiment.actions]
    return frozenset().union(*(each.instances | each.edges for each in every))
