"""What validators ask of an experiment: what was struck, who may do without it, whether a check kept its promise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from executor.measure.containment import reaches, strikes, struck
from executor.measure.counters import edge_of
from executor.measure.criteria import steady_state
from executor.measure.criteria.common import Part, not_well_before
from executor.measure.impact import PATIENCE_MS, usual_ms
from executor.measure.intervals import Share
from executor.measure.samples import Samples
from executor.model.criteria import SteadyState
from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, Experiment, GroupsTarget, InstanceTarget, Target
from executor.model.probe import Check
from executor.model.vocabulary import FaultType, Phase, Scope, Verdict
from executor.model.wording import percent

Edge = tuple[str, str]
"""(caller, callee)."""
_SHARED = frozenset({Scope.MACHINE, Scope.NETWORK, Scope.VOLUME})
"""Reaches in which services stand side by side that have nothing else in common."""
AWAY = frozenset({FaultType.DEAD, FaultType.STOPPED, FaultType.REFUSED, FaultType.SILENT, FaultType.SERVER_ERROR})
"""Faults under which a dependency is no longer there for its callers."""
SHORT_S = 0.3
"""Watching may end so much before the time allowed, seconds."""


def injected(trials: Sequence[Samples]) -> list[Samples]:
    """The trials in which a fault was there at its full strength. Without one no validator has anything to say."""
    return [samples for samples in trials if samples.trial.injected_s is not None]


def soft(check: Check, experiment: Experiment) -> bool | None:
    """Whether a check should by its owner's word (``needs``) do without all that was struck; ``None``: not said.

    Nothing does without the service that it asks, nor without what stands before one that it needs (a load balancer).
    """
    if any(_is(check.service, action.target) for action in experiment.actions):
        return False
    if check.needs is None:
        return None
    needed = {*check.needs, *_before(check)}
    return not struck(experiment) & needed and not _divided(check, experiment)


def feels(check: Check, experiment: Experiment) -> bool:
    """Whether a check may feel a fault, as far as was seen: what it asks is struck, or goes through who calls that."""
    through = services(check) & (
        struck(experiment) | {name for c in experiment.checks for name in callers(c, experiment)}
    )
    return bool(through) or reaches(check, experiment)


def callers(check: Check, experiment: Experiment) -> set[str]:
    """The services from which, as seen, a check calls what was struck."""
    return {edge[0] for edge in _edges(check) if any(away(edge, action.target) for action in experiment.actions)}


def services(check: Check) -> set[str]:
    """The services that a check goes through, as seen."""
    return {check.service, *(service for edge in _edges(check) for service in edge)}


def beyond(experiment: Experiment) -> Iterator[Check]:
    """The checks that may feel a fault and whose own service was not struck."""
    targets = struck(experiment)
    yield from (check for check in experiment.checks if check.service not in targets and reaches(check, experiment))


def counted(experiment: Experiment, trials: Sequence[Samples]) -> list[Edge]:
    """The edges with a counter on which the callers of what was struck feel the faults, in order of their names."""
    sources = {source for samples in trials for source in samples.sources}
    edges = {edge for source in sources if (edge := edge_of(source)) is not None}
    return sorted(edge for edge in edges if any(away(edge, action.target) for action in experiment.actions))


def away(edge: Edge, target: Target) -> bool:
    """Whether a fault on the target takes the callee from the caller. One on the caller itself does not."""
    if isinstance(target, InstanceTarget):
        return target.service == edge[1] != edge[0]
    return strikes(target, "->".join(edge))


def watched(experiment: Experiment, samples: Samples) -> bool:
    """Whether a trial's recovery was watched for all the time that is allowed for it."""
    begin_s, end_s = samples.bounds(Phase.RECOVERY)
    return not samples.trial.aborted and end_s - begin_s >= experiment.recovery_deadline_s - SHORT_S


def asks(check: Check, edge: Edge) -> bool:
    """Whether a check calls over an edge, as seen; where nobody looked, whether it asks the caller."""
    return check.service == edge[0] if check.exercises is None else "->".join(edge) in check.exercises


def drivers_unwell(edge: Edge, experiment: Experiment, trials: Sequence[Samples]) -> str:
    """Why calls before the fault were not as usual, in words: a check that makes them had failed; else empty.

    How slow it was does not matter: it is asked in open loop.
    """
    drivers = [check for check in experiment.checks if asks(check, edge)]
    unwell = (not_well_before(check.id, trials, check.slo.availability_min, None) for check in drivers)
    return next((words for words in unwell if words), "")


def unless_disturbed(part: Part, experiment: Experiment, trials: Sequence[Samples], phase: Phase = Phase.FAULT) -> Part:
    """The same, but where it breaks and half of the checks that cannot feel the fault broke their promise, too.

    They are the control: what all show at once (a machine that is busy elsewhere) is not what the fault did.
    """
    if part.verdict is not Verdict.BREAKS:
        return part
    control = [check for check in experiment.checks if not feels(check, experiment)]
    broke = [check.id for check in control if _promise(check, experiment, trials, phase).verdict is Verdict.BREAKS]
    if not broke or 2 * len(broke) < len(control):
        return part
    words = f"so did {len(broke)} of {len(control)} checks that the fault cannot reach ({', '.join(broke[:3])})"
    return Part(Verdict.INCONCLUSIVE, f"{part.measured}; {words}")


def kept(check: Check, experiment: Experiment, trials: Sequence[Samples]) -> Part:
    """Whether a check kept what was promised (``slo``) while the fault was there; answers of all trials together.

    Where the fault reaches more than its target (a whole machine, say), a broken promise does not tell who broke it.
    """
    said = _promise(check, experiment, trials, Phase.FAULT)
    wide = _SHARED & {scope for action in experiment.actions for scope in action.fault.reaches()}
    if wide and said.verdict is Verdict.BREAKS:
        return Part(Verdict.INCONCLUSIVE, f"{said.measured}; the fault strikes its whole {', '.join(sorted(wide))}")
    return unless_disturbed(said, experiment, trials)


def promised(check: Check) -> str:
    """What ``kept`` holds it against, in words."""
    bound_ms = check.slo.latency_ms_max
    slow = f"{PATIENCE_MS:g} ms or twice the slowest before" if bound_ms is None else f"{bound_ms:g} ms"
    return f"at least {percent(check.slo.availability_min)} good answers, 95 % of them within {slow}"


def untried(experiment: Experiment, trials: Sequence[Samples]) -> str:
    """Why nothing shows that what was struck was away, in words; empty: it was, as far as is known.

    A fault that takes an edge away whole is there by itself. Else those that cannot do without tell: where all kept
    their promise, others stood in, it was soon back, or the fault was a slight one.
    """
    if any(whole(a.fault) and not isinstance(a.target, InstanceTarget) for a in experiment.actions):
        return ""
    needing = [check for check in experiment.checks if soft(check, experiment) is False]
    verdicts = {_promise(check, experiment, trials, Phase.FAULT).verdict for check in needing}
    if verdicts == {Verdict.HOLDS}:
        names = ", ".join(check.id for check in needing[:3])
        return f"nothing shows that {what(experiment)} was away: what needs it kept its promise, too ({names})"
    if not needing and any(leaves_free(action.fault) for action in experiment.actions):
        return f"no check shows whether {what(experiment)} was away, and not soon back"
    return ""


def good_of(service: str, experiment: Experiment, spans: Iterable[tuple[Samples, tuple[float, float]]]) -> Share:
    """Good answers of a service's own checks in spans of trials (seconds since the run started)."""
    own = [check.id for check in experiment.checks if check.service == service]
    asked = [samples.between(name, *span) for samples, span in spans for name in own]
    return Share(sum(int(np.count_nonzero(series.ok)) for series in asked), sum(map(len, asked)))


def whole(fault: Fault) -> bool:
    """Whether a fault leaves nothing of its target for those that call it, whatever they call."""
    known: Any = fault
    return known.looks() in AWAY and getattr(known, "path", "*") == "*" and getattr(known, "method", "*") == "*"


def leaves_free(fault: Fault) -> bool:
    """Whether a fault, once made, keeps nobody from coming back, as far as is known.

    A process that ended may be started by its supervisor, sessions that were ended are made anew, a cache fills again.
    """
    known: Any = fault
    by_supervisor = getattr(known, "restart", "") == "supervisor"
    ended = known.kind == "data.connection_failure" and known.how == "terminate"
    return by_supervisor or ended or known.looks() is FaultType.COLD


def what(experiment: Experiment) -> str:
    """What was struck, in words: services, or edges."""
    return ", ".join(sorted({_named(action.target) for action in experiment.actions}))


def _promise(check: Check, experiment: Experiment, trials: Sequence[Samples], phase: Phase) -> Part:
    slo = check.slo
    # where no latency is promised, what is unusually slow is bad all the same, as it is to ``impact``
    bound_ms = max(usual_ms(check, samples) for samples in trials) if trials else PATIENCE_MS
    promise = SteadyState(
        checks=(check.id,), phase=phase, availability_min=slo.availability_min, latency_ms_max=bound_ms
    )
    said = steady_state.judge(promise, experiment, trials)
    return Part(said.verdict, said.measured)


def _edges(check: Check) -> list[Edge]:
    return [(caller, callee) for edge in check.exercises or () for caller, _, callee in [edge.partition("->")]]


def _is(service: str, target: Target) -> bool:
    return isinstance(target, InstanceTarget) and target.service == service


def _before(check: Check) -> set[str]:
    """Services through which, as seen, all of a check's calls to one that it needs go."""
    needs = {check.service, *(check.needs or ())}
    before = [{caller for caller, callee in _edges(check) if callee == needed} for needed in needs]
    return {caller for only in before if len(only) == 1 for caller in only}


def _divided(check: Check, experiment: Experiment) -> bool:
    """Whether what a check needs is on the other side of a divide. Then nobody can say that it should do without."""
    groups = [action.target for action in experiment.actions if isinstance(action.target, GroupsTarget)]
    needed = {check.service, *(check.needs or ())}
    return any(needed & set(group.a) and needed & set(group.b) for group in groups)


def _named(target: Target) -> str:
    if isinstance(target, InstanceTarget):
        return target.service
    if isinstance(target, EdgeTarget):
        return f"{target.caller}->{target.callee}"
    return f"{'+'.join(target.a)}|{'+'.join(target.b)}"
