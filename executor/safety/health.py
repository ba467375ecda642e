"""Whether the system is well right now: nothing is done to a system that is not."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

import anyio

from executor.errors import SafetyRefusalError
from executor.measure.sampler import Sampler
from executor.measure.samples import window
from executor.model.evidence import Observation
from executor.model.plan import Plan
from executor.model.probe import Check, Slo
from executor.model.system import System
from executor.probes.hosts import allowed_hosts
from executor.safety.guard import struck_services
from executor.safety.reach import beneath

WINDOW_S_MAX = 10.0
"""Longest that answers are collected, however rarely a check is asked."""
HEALTH_HZ = 5.0
"""Rate at which services' own health probes are asked."""
HEALTH = Slo(availability_min=0.8)
"""What they must show over their window of five: one bad answer is a blip."""
GRACE_S = 5.0
"""How much longer is waited for the answers that were due by then."""
_POLL_S = 0.02


async def healthy(plan: Plan, system: System, *, grace_s: float = GRACE_S) -> None:
    """Ask the checks of the plan's first stage for a short window, each at its own rate, and refuse if one is unwell.

    So are the health probes of all that the plan strikes, in any stage, and of all that this depends on. Well: it
    answered as often as its window asks for, keeps its promised availability, and at least half of its answers come
    within its promised latency (one slow answer among ten is as likely this machine's). What does not answer is unwell.
    Raises ``SafetyRefusalError``.
    """
    seen: dict[Check, list[Observation]] = defaultdict(list)
    samplers = [*_samplers(plan, system, seen), *_probing(plan, system, seen)]
    longest_s = max(_wanted(check) / check.rate_hz for check in seen)
    async with anyio.create_task_group() as group:
        for sampler in samplers:
            group.start_soon(sampler.run)
        try:
            with anyio.move_on_after(longest_s + grace_s):
                while any(len(answers) < _wanted(check) for check, answers in seen.items()):
                    await anyio.sleep(_POLL_S)
            settled = {check: tuple(answers) for check, answers in seen.items()}
        finally:
            for sampler in samplers:
                sampler.stop()  # what is still under way then is not counted
    _refuse_unwell(settled)


def _samplers(plan: Plan, system: System, seen: dict[Check, list[Observation]]) -> Iterator[Sampler]:
    """One for each experiment, since ids need only differ within one; what two ask alike is asked once."""
    for experiment in plan.stages[0].experiments:
        own = {check.id: seen[check] for check in experiment.checks if check not in seen}
        checks = [check for check in experiment.checks if check.id in own]
        if checks:
            yield Sampler(
                checks,
                (),
                (),
                time.monotonic(),
                experiment.id,
                partial(_keep, own),
                hosts=allowed_hosts(system),
                drain_s=0,
            )


def _probing(plan: Plan, system: System, seen: dict[Check, list[Observation]]) -> Iterator[Sampler]:
    """One for the health probes, if there are any."""
    checks = health_checks(plan, system)
    own = {check.id: seen[check] for check in checks}
    if own:
        yield Sampler(
            checks,
            (),
            (),
            time.monotonic(),
            "health",
            partial(_keep, own),
            hosts=allowed_hosts(system),
            drain_s=0,
        )


def health_checks(plan: Plan, system: System) -> tuple[Check, ...]:
    """The health probes of what the plan strikes and of all that this depends on, directly or not."""
    wanted = beneath({name for action in plan.actions for name in struck_services(action.target)}, system)
    return tuple(
        Check(
            id=f"{service.name[:56]}.health", service=service.name, probe=service.health, slo=HEALTH, rate_hz=HEALTH_HZ
        )
        for service in system.services
        if service.health is not None and service.name in wanted
    )


def _keep(own: Mapping[str, list[Observation]], observation: Observation) -> None:
    own[observation.source].append(observation)


def _wanted(check: Check) -> int:
    """How many answers make its window."""
    return max(1, min(window(check.rate_hz), math.floor(WINDOW_S_MAX * check.rate_hz)))


def _refuse_unwell(settled: Mapping[Check, tuple[Observation, ...]]) -> None:
    for check, answers in settled.items():
        good = [answer for answer in answers if answer.ok]
        why = next((answer.error for answer in answers if not answer.ok), "")
        if len(answers) < _wanted(check):
            raise _no(f"{check.id} answered {len(answers)} times", f"{_wanted(check)} answers in time")
        if len(good) < check.slo.availability_min * len(answers):
            measured = f"{check.id} answered well {len(good)} of {len(answers)} times ({why})"
            raise _no(measured, f"{check.slo.availability_min * 100:g} %, as it promises")
        bound_ms = check.slo.latency_ms_max
        median_ms = statistics.median(answer.latency_ms for answer in answers)
        if bound_ms is not None and median_ms > bound_ms:
            raise _no(f"half of {check.id}'s answers take over {median_ms:.0f} ms", f"{bound_ms:g} ms, as it promises")


def _no(measured: str, limit: str) -> SafetyRefusalError:
    return SafetyRefusalError("health", measured=measured, limit=limit, hint="Nothing is tried on an unwell system.")
