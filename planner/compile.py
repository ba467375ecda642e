"""From proposals to experiments: equal faults on equal targets become one, bearing on several hypotheses.

An experiment also bears on what was proposed at its place for another fault, as far as its own fault can show it.

Pure and deterministic: equal input gives byte-identical experiments, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.model import wording
from executor.model.faults import Fault
from executor.model.plan import Action, Experiment, Hypothesis
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.safety.limits import Limits
from experts.allowed import place_wanted, why_not
from experts.brief import Brief
from experts.past import at_place
from experts.proposal import Critique, Proposal
from planner import naming, words
from planner.opinions import Opinions
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.paths import related_places
from planner.recipes.table import judging
from planner.strain import aimed, drowned, pressed
from planner.watch import abort_conditions, checks_for, data_checks_for, signals_for

RECOVERY_MIN_S = 4.0
STRETCH = 1.3
"""So much longer an experiment may become for the sake of what it can decide besides."""
PAST_CITED = 3
PLACES_SHOWN = 4


@dataclass(frozen=True)
class Compiled:
    """Candidate experiments, and in words what did not become one."""

    experiments: tuple[Experiment, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """One hypothesis of an experiment: the proposals behind it, and how it is judged."""

    proposals: tuple[Proposal, ...]
    judging: Judging
    lent: bool = False
    """Whether the proposals meant another fault at the same place."""

    @property
    def first(self) -> Proposal:
        return self.proposals[0]

    @property
    def suspicion(self) -> tuple[Weakness, str]:
        return self.first.weakness, self.first.place


def compile_candidates(
    proposals: Sequence[Proposal],
    critiques: Sequence[Critique],
    brief: Brief,
    *,
    limits: Limits,
    weights: Mapping[str, float],
) -> Compiled:
    """Every experiment that the proposals give, each with its pooled predictions; vetoed and unfit ones are notes."""
    ordered = sorted(proposals, key=lambda p: (p.expert, p.weakness, p.place, p.model_dump_json()))
    opinions = Opinions(ordered, critiques, weights)
    unfit: dict[tuple[str, str], dict[str, None]] = {}
    parts: dict[str, dict[str, _Part]] = {}
    for proposal in ordered:
        done = proposal.fault, proposal.target, proposal.beside, proposal.trials
        experiment = naming.experiment_id(*done)
        hypothesis = naming.hypothesis_id(proposal.weakness, proposal.place, *done)
        reason = _refused(proposal, brief, opinions)
        found = Unfit(reason) if reason else judging(_case(proposal, brief.system))
        if isinstance(found, Judging) and (blamed := drowned(proposal.beside, found, brief)):
            found = Unfit(blamed)
        if isinstance(found, Judging) and found.fault_s > limits.fault_s_max:
            found = Unfit(f"it needs {found.fault_s:g} s of fault, and the limit is {limits.fault_s_max:g} s")
        if isinstance(found, Unfit):
            unfit.setdefault((wording.named(proposal.weakness), found.reason), {})[proposal.place] = None
            continue
        group = parts.setdefault(experiment, {})
        behind = group[hypothesis].proposals if hypothesis in group else ()
        group[hypothesis] = _Part((*behind, proposal), found)
    lenders = _lenders({name: group for name, group in parts.items() if not next(iter(group.values())).first.beside})
    for group in parts.values():
        if next(iter(group.values())).first.beside:
            continue  # what shows under two faults at once cannot be laid to one of them
        group.update(_lent(group, lenders, brief.system))
    experiments = tuple(_experiment(name, parts[name], brief, opinions) for name in sorted(parts))
    return Compiled(experiments, _notes(unfit, parts))


def _lenders(parts: Mapping[str, Mapping[str, _Part]]) -> dict[tuple[Weakness, str], Proposal]:
    """For each suspicion that some experiment tries, the proposal that is surest of it."""
    found: dict[tuple[Weakness, str], Proposal] = {}
    for name in sorted(parts):
        for part in parts[name].values():
            held = found.get(part.suspicion)
            surest = max(part.proposals, key=lambda p: p.probability)
            if held is None or surest.probability > held.probability:
                found[part.suspicion] = surest
    return found


def _lent(
    group: Mapping[str, _Part], lenders: Mapping[tuple[Weakness, str], Proposal], system: System
) -> dict[str, _Part]:
    """Further hypotheses that this experiment's fault can decide without taking much longer."""
    first = next(iter(group.values())).first
    fault, target = first.fault, first.target
    had = {part.suspicion for part in group.values()}
    longest_s = STRETCH * max(part.judging.fault_s for part in group.values())
    near = related_places(target, system)
    found: dict[str, _Part] = {}
    for (weakness, place), lender in lenders.items():
        if (weakness, place) in had or place not in near:
            continue
        judged = judging(Case(system, weakness, place, fault, target))
        if isinstance(judged, Judging) and judged.fault_s <= longest_s:
            name = naming.hypothesis_id(weakness, place, fault, target, (), first.trials)
            found[name] = _Part((lender,), judged, lent=True)
    return found


def _case(proposal: Proposal, system: System) -> Case:
    return Case(system, proposal.weakness, proposal.place, proposal.fault, proposal.target, proposal.beside)


def _refused(proposal: Proposal, brief: Brief, opinions: Opinions) -> str:
    """Why a proposal goes no further, before anybody asks how it would be judged; empty: it does."""
    wanted = brief.constraints.weaknesses
    if wanted and proposal.weakness not in wanted:
        return "it was not asked for"
    if not place_wanted(proposal.place, brief):
        return "the place was not asked for"
    veto = opinions.veto(proposal)
    if veto:
        return f"vetoed by the safety officer: {veto}"
    return next((reason for each in proposal.strikes if (reason := why_not(*each, brief))), "")


def _notes(
    unfit: Mapping[tuple[str, str], Mapping[str, None]], parts: Mapping[str, Mapping[str, _Part]]
) -> tuple[str, ...]:
    """One line for each reason, with the places that no experiment tries in another way."""
    tried = {(wording.named(p.first.weakness), p.first.place) for group in parts.values() for p in group.values()}
    lines = []
    for (weakness, reason), places in sorted(unfit.items()):
        left = [place for place in sorted(places) if (weakness, place) not in tried]
        if left:
            shown = ", ".join(left[:PLACES_SHOWN]) + (
                f" and {more} more" if (more := len(left) - PLACES_SHOWN) > 0 else ""
            )
            lines.append(f"{weakness} at {shown} is not tried: {reason}")
    return tuple(lines)


def _experiment(name: str, parts: Mapping[str, _Part], brief: Brief, opinions: Opinions) -> Experiment:
    first = next(part for part in parts.values() if not part.lent).first
    fault, target, system = first.fault, first.target, brief.system
    judgings = [part.judging for part in parts.values()]
    fault_s = max(j.fault_s for j in judgings)
    actions = _actions(name, first, fault_s, system)
    wanted = max(p.concurrency for part in parts.values() if not part.lent for p in part.proposals)
    checks = checks_for((c for j in judgings for c in j.checks), target, system)
    checks = pressed(checks, wanted, fault, target, system)
    judged = [c for j in judgings for criterion in j.criteria for c in getattr(criterion, "checks", ())]
    return Experiment(
        id=name,
        title=_cut(_title(actions, first.trials), 400),
        rationale=_rationale(parts, brief, opinions),
        proposed_by=tuple(sorted({p.expert for part in parts.values() if not part.lent for p in part.proposals})),
        hypotheses=tuple(_hypothesis(key, parts[key], fault, opinions) for key in sorted(parts)),
        checks=checks,
        signals=signals_for((s for j in judgings for s in j.signals), target, system),
        data_checks=data_checks_for(target, system),
        actions=actions,
        abort_conditions=abort_conditions(checks, judged, [action.target for action in actions], fault_s, system),
        baseline_s=max(j.baseline_s for j in judgings),
        recovery_deadline_s=max(RECOVERY_MIN_S, *(j.recovery_s for j in judgings)),
        trials=first.trials,
    )


def _actions(name: str, proposal: Proposal, fault_s: float, system: System) -> tuple[Action, ...]:
    """What is proposed first, whatever is beside it from the same moment on, all for as long."""
    first = Action(
        id=f"{name}-act",
        fault=aimed(proposal.fault, proposal.target, system),
        target=proposal.target,
        duration_s=fault_s,
    )
    others = (
        Action(
            id=f"{name}-act-{number}",
            fault=aimed(each.fault, each.target, system),
            target=each.target,
            duration_s=fault_s,
        )
        for number, each in enumerate(proposal.beside, start=2)
    )
    return (first, *others)


def _title(actions: Sequence[Action], trials: int) -> str:
    told = []
    for action in actions:
        where = words.target(action.target)
        told.append(f"{where}: {action.fault.words()}")
    title = "; meanwhile ".join(told) + (f"; {trials} times" if trials > 1 else "")
    return title[0].upper() + title[1:]


def _hypothesis(name: str, part: _Part, fault: Fault, opinions: Opinions) -> Hypothesis:
    remedies = dict.fromkeys(p.remedy for p in part.proposals if p.remedy)
    return Hypothesis(
        id=name,
        weakness=part.first.weakness,
        place=part.first.place,
        statement=_cut(part.judging.statement, 400),
        criteria=part.judging.criteria,
        exercised_by=part.judging.exercised_by,
        prediction=opinions.lent(part.first, fault) if part.lent else opinions.prediction(part.first),
        remedy=_cut(" ".join(remedies), 4000),
    )


def _rationale(parts: Mapping[str, _Part], brief: Brief, opinions: Opinions) -> str:
    """What the experts said for it, what critics said, and which earlier runs bear on it."""
    said: dict[str, None] = {}
    for part in parts.values():
        if part.lent:
            continue
        said.update(dict.fromkeys(p.rationale for p in part.proposals))
        said.update(dict.fromkeys(c for p in part.proposals for c in opinions.concerns(p)))
        for past in at_place(brief, part.first.weakness, part.first.place)[-PAST_CITED:]:
            weakness = wording.named(past.weakness)
            said[f"{weakness} at {past.place}: {past.verdict} in {past.run} under {past.fault}."] = None
    return _cut(" ".join(said), 4000)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
