"""Plans, faults and criteria in plain words: one wording for the terminal, the report and whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from executor.model.criteria import Criterion
from executor.model.data_check import Access, DataCheck, SqlQuery
from executor.model.evidence import EventKind, Evidence
from executor.model.plan import Action, EdgeTarget, GroupsTarget, Target
from executor.model.wording import duration, many, number


def cut_short(evidence: Evidence) -> str:
    """Why a run did not come to its end, and how far it came."""
    begun = {event.experiment for event in evidence.timeline if event.kind is EventKind.INJECTED}
    ends = (EventKind.ABORTED, EventKind.HALTED)
    why = next((event.detail for event in evidence.timeline if event.kind in ends and event.detail), evidence.outcome)
    return f"Cut short after {len(begun)} of {many(len(evidence.results), 'experiment')}: {why}."


def target(where: Target) -> str:
    """What a selector means."""
    if isinstance(where, EdgeTarget):
        return f"calls from {where.caller} to {where.callee}"
    if isinstance(where, GroupsTarget):
        return f"all traffic between {', '.join(where.a)} and {', '.join(where.b)}"
    if where.ids:
        return f"{', '.join(where.ids)} of {where.service}"
    return f"{where.count} instance{'s' if where.count > 1 else ''} of {where.service}"


def action(done: Action) -> str:
    """What is done to whom for how long, as one sentence."""
    begins = f", {duration(done.start_s)} into the fault phase" if done.start_s else ""
    where = target(done.target)
    steps = done.ramp and f", raised in {done.ramp.steps} steps, each before it held {duration(done.ramp.hold_s)}"
    return f"{where[0].upper()}{where[1:]}: {done.fault.words()}, for {duration(done.duration_s)}{begins}{steps or ''}"


def data_check(check: DataCheck) -> str:
    """What a data check does to the system's data, to the letter, and what it looks for."""
    invariants = "; ".join(_access(each) for each in check.invariants)
    if check.write is None or check.read is None:
        return f"no records; {check.id} asks of {check.service} before and after: {invariants}"
    also = f"; and asks before and after: {invariants}" if invariants else ""
    return (
        f"{number(check.rate_hz)} records a second into {check.service}, which stay: {_access(check.write)}; "
        f"{check.id} reads them back: {_access(check.read)}{also}"
    )


def _access(access: Access) -> str:
    if isinstance(access, SqlQuery):
        return f"{access.query} (PostgreSQL at {access.dsn})"
    return f"{access.method} {access.url}" + (f" with {access.json_body}" if access.json_body else "")


_CRITERIA: Final[dict[str, Callable[[Any], str]]] = {
    "steady_state": lambda c: (
        f"{', '.join(c.checks)} answer{'s' if len(c.checks) == 1 else ''} well at least "
        f"{number(c.availability_min * 100)} % of the time"
        + (f", 95 % within {duration(c.latency_ms_max / 1000)}" if c.latency_ms_max else "")
        + {"baseline": " before the fault", "fault": " under the fault", "recovery": " after the fault"}[c.phase.value]
        + (f" (from {duration(c.after_s)} on)" if c.after_s else "")
        + (f", as long as {', '.join(c.provided)} do{'es' if len(c.provided) == 1 else ''}" if c.provided else "")
    ),
    "bounded_latency": lambda c: f"{', '.join(c.checks)} answer, well or not, within {duration(c.limit_ms / 1000)}",
    "calls_within": lambda c: (
        f"{c.caller} sends {c.callee} at most {number(c.factor_max)} × the calls it sends when all is well"
    ),
    "recovers_within": lambda c: (
        f"{', '.join(c.checks)} back in steady state within {duration(c.within_s)} of the fault's "
        + ("end" if c.since == "reverted" else "begin")
    ),
    "detected_within": lambda c: f"{c.signal} reports the failure within {duration(c.within_s)}",
    "data_kept": lambda c: f"{c.data_check} finds every acknowledged write once after recovery, and data that agrees",
    "beyond_capacity": lambda c: (
        (f"it carries {number(c.at_least_rps)} requests a second, " if c.at_least_rps else "")
        + "most is still served far beyond its largest rate, and all again after an overload"
    ),
}


def criterion(wanted: Criterion) -> str:
    """What must be true for the hypothesis to hold."""
    return _CRITERIA[wanted.kind](wanted)
