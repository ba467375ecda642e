"""The static rules: all about a plan that can be refused without looking at the machine.

Each is a small function over the plan, the system and the limits. None can be switched off, and nothing a model writes
reaches one except as a field that is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from executor.errors import InputError, SafetyRefusalError
from executor.model.plan import AbortCondition, Action, Experiment, GroupsTarget, InstanceTarget, Plan
from executor.model.probe import READING, HttpProbe
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.probes.hosts import allowed_hosts, refuse_foreign
from executor.safety.case import Case, Refusals, no
from executor.safety.limits import Limits
from executor.safety.radius import blast_radius, concurrent_faults, overlapping_targets, protected_impact
from executor.safety.radius import joint as joint  # the rule over all runs is asked for here, too
from executor.safety.reach import run_s
from executor.safety.touch import Also

_CRITICAL = 3
"""The criticality of what the business stops without."""


def refusals(plan: Plan, system: System, limits: Limits, also: Also | None = None) -> list[SafetyRefusalError]:
    """Every static rule that the plan breaks; none: it may be approved. Asks nothing of the machine or the network.

    ``also`` is what each action was seen to strike beside what it names, once somebody has looked (``neighbours``).
    Raises ``InputError`` for a target or an exercised edge that the system does not have.
    """
    for hypothesis in (h for experiment in plan.experiments for h in experiment.hypotheses):
        for caller, callee in hypothesis.exercised_by:
            try:
                system.dependency(caller, callee)
            except KeyError as error:
                raise InputError(f"the system has no edge {error.args[0]}.", where=hypothesis.id) from None
    case = Case(plan, system, limits, also or {})
    return [refusal for rule in _RULES for refusal in rule(case)]


def allows(globs: Sequence[str], kind: str) -> bool:
    """Whether a kind of fault matches one of the globs."""
    return any(fnmatchcase(kind, glob) for glob in globs)


def _same_system(case: Case) -> Refusals:
    if case.plan.system_name != case.system.name:
        yield no("system", f"the plan is for {case.plan.system_name}", case.system.name, "Plan anew for this system.")
    if case.plan.environment != case.system.environment:
        where = f"the system's own, {case.system.environment}"
        yield no("environment", f"the plan is for {case.plan.environment}", where, "Plan anew for this system.")
    if case.plan.environment not in case.limits.environments:
        allowed = " or ".join(case.limits.environments) or "no environment at all"
        hint = "Only the operator can add it to environments in limits.toml."
        yield no("environment", f"the plan is for {case.plan.environment}", allowed, hint)


def _protected(case: Case) -> Refusals:
    """On an edge the caller is struck, and its callee may be protected. A partition cuts off all that it names."""
    for action in case.plan.actions:
        for name in sorted(_struck(action, case) & case.protected):
            limit = f"never {', '.join(sorted(case.protected))}"
            measured = f"action {action.id} strikes {name}{_shares(action, name)}"
            yield no("protected services", measured, limit, "Choose another target.")


def _critical(case: Case) -> Refusals:
    """What the business stops without is not struck where the business is done."""
    if case.plan.environment is not Environment.PRODUCTION or case.limits.critical_in_production:
        return
    for action in case.plan.actions:
        for name in sorted(_struck(action, case)):
            if case.system.service(name).criticality >= _CRITICAL:
                measured = f"action {action.id} strikes {name}{_shares(action, name)}, whose criticality is {_CRITICAL}"
                hint = "Choose another target; only the operator can set critical_in_production in limits.toml."
                yield no("critical services", measured, "services of less criticality in production", hint)


def _struck(action: Action, case: Case) -> frozenset[str]:
    struck = case.touches(action).services
    return struck | {*action.target.a, *action.target.b} if isinstance(action.target, GroupsTarget) else struck


def _shares(action: Action, name: str) -> str:
    """Why a service is struck that the action does not name; empty for one that it names."""
    if not isinstance(action.target, InstanceTarget) or name == action.target.service:
        return ""
    scopes = " and ".join(scope.value for scope in action.fault.reaches())
    return f" too ({action.fault.kind} reaches all of its {scopes})"


def _allowed_faults(case: Case) -> Refusals:
    for action in case.plan.actions:
        if not allows(case.limits.allowed_faults, action.fault.kind):
            allowed = " or ".join(case.limits.allowed_faults) or "no fault at all"
            hint = "Only the operator can add it to allowed_faults in limits.toml."
            yield no("allowed faults", f"action {action.id} is {action.fault.kind}", allowed, hint)


def _fault_duration(case: Case) -> Refusals:
    for action in case.plan.actions:
        if action.whole_s > case.limits.fault_s_max:
            measured = f"action {action.id} lasts {action.whole_s:g} s"
            yield no("fault duration", measured, f"{case.limits.fault_s_max:g} s", "Make it shorter.")


def _run_length(case: Case) -> Refusals:
    if (longest := run_s(case.plan)) > case.limits.run_s_max:
        hint = "Take fewer experiments or trials, or shorter phases."
        yield no("run length", f"the run may take {longest:g} s", f"{case.limits.run_s_max:g} s", hint)


def _interception(case: Case) -> Refusals:
    for action in case.plan.actions:
        for place in sorted(case.touches(action).edges):
            if case.system.dependency(*place.split("->")).interception is None:
                yield no(
                    "interception",
                    f"action {action.id} needs {place}, whose traffic cannot be reached",
                    "an edge through Murphy's proxy, or root with nftables on the host",
                    "murphy doctor shows what this machine lacks.",
                )


def _disposable_data(case: Case) -> Refusals:
    for action in case.plan.actions:
        if action.fault.kind.startswith("data.") and isinstance(action.target, InstanceTarget):
            name = action.target.service
            service = case.system.service(name)
            if not service.disposable and service.backup is None:  # the preflight sees whether the backup is good
                measured = f"action {action.id} is a data fault on {name}"
                hint = f"Only the operator can call {name} disposable or name its backup, in system.yaml."
                yield no("disposable data", measured, "disposable services, or such with a backup", hint)


def _abort_conditions(case: Case) -> Refusals:
    for experiment in case.plan.experiments:
        if experiment.abort_conditions == "none":
            if case.plan.environment is Environment.PRODUCTION:
                hint = "Name a check and the availability below which all is undone."
                yield no("abort conditions", f"{experiment.id} has none", "at least one in production", hint)
            continue
        for condition in experiment.abort_conditions:
            if not _can_fire(condition, experiment):
                measured = f"{experiment.id} would end before the condition on {condition.check} could be met"
                hint = "Ask the check more often, or judge over fewer answers."
                yield no("abort conditions", measured, "one that can be met under the fault", hint)


def _can_fire(condition: AbortCondition, experiment: Experiment) -> bool:
    """Whether the answers due during the fault, were all bad, would push the availability below."""
    check = next(check for check in experiment.checks if check.id == condition.check)
    bad = min(condition.of, math.floor(experiment.fault_s * check.rate_hz))
    return (condition.of - bad) / condition.of < condition.availability_below


def _data_checks(case: Case) -> Refusals:
    """What writes into the system is what its owner says, to the letter."""
    declared = [check for service in case.system.services for check in service.data_checks]
    for experiment in case.plan.experiments:
        for check in experiment.data_checks:
            if check not in declared:
                measured = f"{experiment.id} writes by data check {check.id}, which the system does not have like that"
                hint = "Only the system's owner can declare it, in system.yaml."
                yield no("data checks", measured, "data checks exactly as system.yaml has them", hint)


def _writing_probes(case: Case) -> Refusals:
    """Neither does a check or a signal write by a request of its own: what a person reads of a plan names them only."""
    declared = [probe for service in case.system.services for probe in service.probes]
    for experiment in case.plan.experiments:
        asked = [(check.id, check.probe) for check in experiment.checks]
        asked += [(signal.id, signal.probe) for signal in experiment.signals]
        for name, probe in asked:
            if isinstance(probe, HttpProbe) and probe.method not in READING and probe not in declared:
                measured = f"{experiment.id} sends {probe.method} by {name}, which the system does not have like that"
                hint = "Only the system's owner can declare it, in system.yaml."
                yield no("writing probes", measured, "requests other than GET and HEAD exactly as in system.yaml", hint)


def _probe_hosts(case: Case) -> Refusals:
    hosts = allowed_hosts(case.system)
    for experiment in case.plan.experiments:
        probes = [check.probe for check in experiment.checks] + [signal.probe for signal in experiment.signals]
        probes += [probe for check in experiment.data_checks for probe in check.probes]
        for probe in probes:
            try:
                refuse_foreign(probe, hosts)
            except SafetyRefusalError as refusal:
                yield refusal


_RULES: tuple[Callable[[Case], Refusals], ...] = (
    _same_system,
    _protected,
    _critical,
    _allowed_faults,
    _fault_duration,
    _run_length,
    blast_radius,
    protected_impact,
    concurrent_faults,
    overlapping_targets,
    _interception,
    _disposable_data,
    _abort_conditions,
    _data_checks,
    _writing_probes,
    _probe_hosts,
)
