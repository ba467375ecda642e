"""Plans, faults and criteria in plain words: one wording for the terminal, the report and whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from executor.model.criteria import Criterion
from executor.model.evidence import EventKind, Evidence
from executor.model.faults import FaultSpec
from executor.model.plan import Action, EdgeTarget, Experiment, GroupsTarget, Target


def number(value: float) -> str:
    """A number as people write it: at most two decimals, none where they say nothing."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """``350 ms``, ``3.5 s`` or ``2 min 5 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{number(round(seconds, 1))} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def named(value: str) -> str:
    """A vocabulary word for people: ``hard_dependency`` becomes ``hard dependency``."""
    return value.replace("_", " ")


def many(count: int, what: str) -> str:
    """``1 fault``, ``2 faults``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


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


def _each(probability: float, what: str) -> str:
    """``every request`` or ``15 % of the requests``."""
    return f"every {what}" if probability >= 1 else f"{number(probability * 100)} % of the {what}s"


def _requests(fault: Any) -> str:
    method = "" if fault.method == "*" else f"{fault.method} "
    path = "" if fault.path == "*" else f" to {fault.path}"
    return _each(fault.probability, f"{method}request") + path


def _dependency_failure(fault: Any) -> str:
    return {
        "refuse": "refuse every connection",
        "blackhole": "swallow every request without an answer",
        "error": "answer every request with 503",
        "slow": f"delay every request by {duration(fault.delay_ms / 1000)}",
    }[fault.mode]


_RESTART: Final = {
    "supervisor": "its supervisor should start it again, or else Murphy does",
    "murphy": "Murphy starts it again afterwards",
}

_FAULTS: Final[dict[str, Callable[[Any], str]]] = {
    "service.crash": lambda f: f"kill it with SIG{f.signal}; {_RESTART[f.restart]}",
    "service.stop": lambda f: f"ask it to end, kill it after {duration(f.grace_s)}; {_RESTART[f.restart]}",
    "service.hang": lambda _: "freeze it: connections are accepted, nothing is answered",
    "service.slowdown": lambda f: f"leave it {number(f.cpu_percent)} % of one core",
    "service.error": lambda f: f"answer {_requests(f)} with {f.status}",
    "service.timeout": lambda f: f"leave {_requests(f)} unanswered",
    "service.corrupt_response": lambda f: f"damage ({named(f.how)}) the answers to {_requests(f)}",
    "service.dependency_failure": _dependency_failure,
    "network.latency": lambda f: (
        f"delay each request by {duration(f.delay_ms / 1000)}"
        + (f" ± {duration(f.jitter_ms / 1000)}" if f.jitter_ms else "")
    ),
    "network.reset": lambda f: (
        f"cut {_each(f.probability, 'connection')}" + (f" after {f.after_bytes} bytes" if f.after_bytes else "")
    ),
    "network.partition": lambda f: f"{f.how} everything {'both ways' if f.direction == 'both' else 'one way'}",
    "resource.cpu": lambda f: (
        f"burn {number(f.load_percent)} % of {f.cores} core{'s' if f.cores > 1 else ''} beside it"
    ),
    "resource.memory": lambda f: f"take {f.bytes / 2**20:,.0f} MiB of memory beside it",
    "resource.connections": lambda f: f"hold {f.count} idle connections open to it",
    "data.cache_flush": lambda f: f"remove the keys that match {f.pattern}; they are put back afterwards",
    "data.lock": lambda f: f"hold an {f.mode} lock on table {f.table}",
    "data.connection_failure": lambda f: {
        "terminate": "end its clients' sessions",
        "refuse_new": "refuse new sessions",
        "both": "end its clients' sessions and refuse new ones",
    }[f.how],
}


def fault(spec: FaultSpec) -> str:
    """What is done, without its target: ``delay each request by 2.5 s``."""
    kind: str = spec.kind  # type: ignore[attr-defined]
    return _FAULTS[kind](spec)


def action(done: Action) -> str:
    """What is done to whom for how long, as one sentence."""
    begins = f", {duration(done.start_s)} into the fault phase" if done.start_s else ""
    where = target(done.target)
    steps = done.ramp and f", raised in {done.ramp.steps} steps, each before it held {duration(done.ramp.hold_s)}"
    return f"{where[0].upper()}{where[1:]}: {fault(done.fault)}, for {duration(done.duration_s)}{begins}{steps or ''}"


_CRITERIA: Final[dict[str, Callable[[Any], str]]] = {
    "steady_state": lambda c: (
        f"{', '.join(c.checks)} answer{'s' if len(c.checks) == 1 else ''} well at least "
        f"{number(c.availability_min * 100)} % of the time"
        + (f", 95 % within {duration(c.latency_ms_max / 1000)}" if c.latency_ms_max else "")
        + {"baseline": " before the fault", "fault": " under the fault", "recovery": " after the fault"}[c.phase.value]
        + (f" (from {duration(c.after_s)} on)" if c.after_s else "")
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
}


def criterion(wanted: Criterion) -> str:
    """What must be true for the hypothesis to hold."""
    return _CRITERIA[wanted.kind](wanted)


def length(experiment: Experiment) -> float:
    """The longest that one experiment can take, seconds: all trials, with the whole recovery deadline."""
    return experiment.trials * (experiment.baseline_s + experiment.fault_s + experiment.recovery_deadline_s)
