"""What an experiment did and what was looked at meanwhile: all that tells what its verdict can rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from executor.model.criteria import Criterion
from executor.model.evidence import ExperimentResult
from executor.model.faults import Fault
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget
from executor.model.system import System
from executor.model.vocabulary import FaultType, Phase
from knowledge.struck import struck_edges, struck_share, used_edges


@dataclass(frozen=True)
class Strike:
    """One fault: how strong it is, for how long, and on how much of what."""

    kind: str
    type: str
    edges: tuple[str, ...]
    """Places of the edges whose calls it fails or delays."""
    service: str = ""
    """Whose instances it strikes; empty: it strikes edges."""
    delay_ms: float | None = None
    """How late answers come at least; ``None``: it delays nothing, or nobody knows by how much."""
    share: float = 1.0
    """Of the calls that are met at all, 0–1."""
    instances: float = 1.0
    """Of the service's instances, 0–1."""
    load_hz: float = 0.0
    """Requests a second that it adds."""
    taken: int = 0
    """Connections that it holds."""
    duration_s: float = 0.0


@dataclass(frozen=True)
class Look:
    """One check of the experiment, whether it was judged or only brought load."""

    check: str
    service: str
    """Whose users it stands for."""
    edges: tuple[str, ...]
    """Places of the edges that it uses, as seen or as they could be."""
    rate_hz: float
    answers: int | None = None
    """Under the fault, as counted; ``None``: before the run."""


@dataclass(frozen=True)
class Judged:
    """One criterion of the hypothesis."""

    kind: str
    checks: tuple[str, ...] = ()
    of: str = ""
    """The edge or service that it speaks of itself, where it does not do so by checks."""
    phase: str = Phase.FAULT.value
    """In which steady state is asked for."""
    availability_min: float = 0.9
    limit_ms: float | None = None
    """Bound on latency."""
    within_s: float | None = None
    after_s: float = 0.0
    factor_max: float | None = None


@dataclass(frozen=True)
class Exposure:
    """One hypothesis of an experiment, as it was put to the test."""

    strikes: tuple[Strike, ...]
    judged: tuple[Judged, ...]
    looks: tuple[Look, ...]
    timeouts: tuple[tuple[str, float], ...] = ()
    """(place, milliseconds): what is known of time-outs on edges of the system."""
    uncounted: tuple[str, ...] = ()
    """Edges of which nobody could tell whether calls crossed them."""
    trials: int = 1

    def timeout_ms(self, place: str) -> float | None:
        """The time-out of an edge, where it is known."""
        return dict(self.timeouts).get(place)

    def looks_of(self, judged: Judged) -> tuple[Look, ...]:
        """The checks by which a criterion is judged."""
        return tuple(look for look in self.looks if look.check in judged.checks)

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the ledger keeps them."""
        return asdict(self)


def exposure(
    experiment: Experiment, hypothesis: Hypothesis, system: System, result: ExperimentResult | None = None
) -> Exposure:
    """What the experiment exposes the hypothesis to; with its result, what it has exposed it to."""
    answers = (
        {f.of: f.n for f in result.figures if f.name == "availability" and f.phase is Phase.FAULT} if result else {}
    )
    return Exposure(
        strikes=tuple(_strike(action, system) for action in experiment.actions),
        judged=tuple(_judged(criterion, experiment) for criterion in hypothesis.criteria),
        looks=tuple(
            Look(
                check=check.id,
                service=check.service,
                edges=used_edges(check, system),
                rate_hz=check.rate_hz,
                answers=answers.get(check.id, 0) if answers else None,
            )
            for check in experiment.checks
        ),
        timeouts=tuple((edge.place, edge.timeout_ms) for edge in system.dependencies if edge.timeout_ms is not None),
        uncounted=tuple(_uncounted(hypothesis, result)),
        trials=result.trials if result and result.trials else experiment.trials,
    )


def from_json(told: Mapping[str, Any] | None) -> Exposure | None:
    """As the ledger has kept it; ``None`` where it has not, or what it has kept is none."""
    if not told:
        return None
    try:
        return Exposure(
            strikes=tuple(_kept_strike(one) for one in told["strikes"]),
            judged=tuple(Judged(**{**one, "checks": tuple(one["checks"])}) for one in told["judged"]),
            looks=tuple(Look(**{**one, "edges": tuple(one["edges"])}) for one in told["looks"]),
            timeouts=tuple((str(place), float(ms)) for place, ms in told["timeouts"]),
            uncounted=tuple(told["uncounted"]),
            trials=told["trials"],
        )
    except (KeyError, TypeError, ValueError):
        return None


def _kept_strike(told: Mapping[str, Any]) -> Strike:
    """Raises ``ValueError`` for a type of fault that is not known any more."""
    return Strike(**{**told, "type": FaultType(told["type"]).value, "edges": tuple(told["edges"])})


def delay_ms(fault: Fault) -> float:
    """How late answers come at least, milliseconds: infinite if never, 0 if nothing is surely delayed."""
    if fault.looks() is FaultType.SILENT:
        return math.inf
    if fault.looks() not in (FaultType.SLOW, FaultType.SLUGGISH):
        return 0.0
    known = _inner(fault)
    return max(0.0, float(getattr(known, "delay_ms", 0.0)) - float(getattr(known, "jitter_ms", 0.0)))


def _strike(action: Action, system: System) -> Strike:
    fault, target = action.fault, action.target
    late = delay_ms(fault)
    known = _inner(fault)
    return Strike(
        kind=fault.kind,
        type=fault.looks().value,
        edges=tuple(f"{caller}->{callee}" for caller, callee in struck_edges(target, system)),
        service=target.service if isinstance(target, InstanceTarget) else "",
        delay_ms=late if 0 < late < math.inf else None,
        share=_share(known),
        instances=struck_share(target, system),
        load_hz=float(getattr(known, "rate_rps", 0.0)),
        taken=_taken(known) if fault.looks() is FaultType.CONNECTIONS_TAKEN else 0,
        duration_s=action.duration_s,
    )


_PACKETS = 8
"""Packets of a small request and its answer, handshake included: any of them may be the one that is struck."""


def _share(fault: Any) -> float:
    """Share of the calls that meet the fault."""
    if (probability := getattr(fault, "probability", None)) is not None:
        return float(probability) / float(getattr(fault, "every", 1))
    if (percent := getattr(fault, "percent", None)) is not None:
        return float(1 - (1 - percent / 100) ** _PACKETS)
    return 1.0


def _taken(fault: Any) -> int:
    return int(getattr(fault, "count", 0) or getattr(fault, "sessions", 0))


def _inner(fault: Fault) -> Any:
    """The fault itself, where somebody else makes it."""
    return getattr(fault, "fault", fault)


def _judged(criterion: Criterion, experiment: Experiment) -> Judged:
    told: Any = criterion
    limit_ms = getattr(told, "limit_ms", None) or getattr(told, "latency_ms_max", None)
    return Judged(
        kind=told.kind,
        checks=tuple(getattr(told, "checks", ())),
        of=_of(told, experiment),
        phase=str(getattr(told, "phase", Phase.FAULT).value),
        availability_min=float(getattr(told, "availability_min", 0.9)),
        limit_ms=limit_ms,
        within_s=getattr(told, "within_s", None),
        after_s=float(getattr(told, "after_s", 0.0)),
        factor_max=getattr(told, "factor_max", None),
    )


def _of(criterion: Any, experiment: Experiment) -> str:
    """What a criterion speaks of without a check."""
    if criterion.kind == "calls_within":
        return f"{criterion.caller}->{criterion.callee}"
    sources: dict[str, Sequence[tuple[str, str]]] = {
        "detected_within": [(signal.id, signal.service) for signal in experiment.signals],
        "data_kept": [(kept.id, kept.service) for kept in experiment.data_checks],
        "beyond_capacity": [
            (a.id, a.target.service) for a in experiment.actions if isinstance(a.target, InstanceTarget)
        ],
    }
    name = next((str(getattr(criterion, a)) for a in ("signal", "data_check", "action") if hasattr(criterion, a)), "")
    return dict(sources.get(criterion.kind, ())).get(name, "")


def _uncounted(hypothesis: Hypothesis, result: ExperimentResult | None) -> Iterator[str]:
    """Edges that had to be exercised, and of which the run has counted no call."""
    if result is None:
        return
    counted = {figure.of for figure in result.figures if figure.name == "amplification"}
    for caller, callee in hypothesis.exercised_by:
        if (place := f"{caller}->{callee}") not in counted:
            yield place
