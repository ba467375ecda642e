"""The regression plan: what once broke is tried again, at every place of a system that looks like where it broke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor.errors import InputError, SafetyRefusalError
from executor.model.digest import digest
from executor.model.plan import Experiment, Plan, Stage
from executor.model.system import System
from executor.model.wording import many, named
from executor.safety.limits import Limits
from executor.safety.rules import refusals
from experts.brief import Brief, Constraints
from experts.proposal import Proposal
from knowledge.fault_types import fault_text
from knowledge.patterns.templates import Template, targets
from planner.assemble import plan_on
from planner.compile import compile_candidates
from planner.possible import absent, unsupported
from planner.rehearsal import rehearse, running

EXPERT = "historian"
"""In whose name a template speaks."""


@dataclass(frozen=True)
class Regression:
    """The plan, which waits for approval like any other, and what did not become part of it."""

    plan: Plan
    notes: tuple[str, ...]


def regression_plan(
    chosen: Sequence[Template], system: System, constraints: Constraints, *, limits: Limits, proposer: str
) -> Regression:
    """One experiment a stage, those whose template was seen most often first, at most ``constraints.experiments_max``.

    Each is made for the system as it is now: its checks, its promises. Raises ``InputError`` where no template fits,
    ``SafetyRefusalError`` where nothing of it may be done.
    """
    notes: list[str] = []
    proposals = list(_proposals(chosen, system, notes))
    if not proposals:
        raise InputError("; ".join(notes) + ".", where=system.name, hint="murphy templates NAME says where one fits.")
    brief = Brief(system=system, constraints=constraints, unsupported=unsupported(system))
    compiled = compile_candidates(proposals, (), brief, limits=limits, weights={})
    notes += compiled.notes
    first = {h.id: n for n, h in enumerate(h for e in compiled.experiments for h in e.hypotheses)}
    ordered = sorted(compiled.experiments, key=lambda each: (-_surest(each), first[each.hypotheses[0].id]))
    every = running(system)
    kept: list[Experiment] = []
    for each in ordered:
        why = rehearse(each, system, limits, every)
        if why:
            notes.append(f"“{each.title}” is left out: {why[0]}")
        elif len(kept) < constraints.experiments_max:
            kept.append(each)
        else:
            notes.append(
                f"“{each.title}” is left out: {many(constraints.experiments_max, 'experiment')} were asked for"
            )
    if not kept:
        raise _refusal(ordered, notes, chosen, system, limits, proposer)
    return Regression(_plan(kept, chosen, system, proposer), tuple(notes))


def _proposals(chosen: Sequence[Template], system: System, notes: list[str]) -> Iterator[Proposal]:
    for template in chosen:
        if foreign := template.foreign(system):
            notes.append(
                f"{template.name} does not fit {system.name}: its fault names something of another ({foreign})"
            )
            continue
        places = template.fits(system)
        if not places:
            notes.append(f"{template.name} does not fit: {system.name} has no {template.look.words()}")
        record = template.broke
        for place in places:
            for target in targets(template.struck, place, template.action.target, system):
                yield Proposal(
                    expert=EXPERT,
                    weakness=template.weakness,
                    place=place,
                    fault=template.action.fault,
                    target=target,
                    probability=round((record.good + 1) / (record.n + 2), 4),
                    rationale=(
                        f"{named(template.weakness.value).capitalize()} was seen in {record.good} of {record.n} tries "
                        f"like this, last in {template.again}, at {template.shown.place} of {template.shown.system}."
                    ),
                    remedy=template.remedy,
                    source=f"template {template.name}",
                )


def _surest(experiment: Experiment) -> float:
    return max(hypothesis.prediction.probability_breaks for hypothesis in experiment.hypotheses)


def _plan(kept: Sequence[Experiment], chosen: Sequence[Template], system: System, proposer: str) -> Plan:
    asked = {"experiments": [each.model_dump(mode="json") for each in kept], "system": digest(system)}
    what = ", ".join(f"{each.name} ({fault_text(each.action.fault)})" for each in chosen[:5])
    more = f" and {many(len(chosen) - 5, 'more template')}" if len(chosen) > 5 else ""
    return plan_on(
        system,
        plan_id=f"regression-{digest(asked)[7:19]}",
        proposer=proposer,
        goal="Does what once broke still break?",
        rationale=f"From what earlier runs have shown at least twice: {what}{more}."[:4000],
        stages=tuple(Stage(experiments=(each,)) for each in kept),
    )


def _refusal(
    made: Sequence[Experiment],
    notes: Sequence[str],
    chosen: Sequence[Template],
    system: System,
    limits: Limits,
    proposer: str,
) -> Exception:
    """The rule that says no; where none does, why no experiment could be made."""
    if not made:
        return InputError(f"there is no experiment to plan: {absent(system) or '; '.join(notes)}.", where=system.name)
    found = refusals(_plan(made[:1], chosen, system, proposer), system, limits)
    hint = "Choose another template or place; only the operator can allow more, in limits.toml."
    return (
        found[0] if found else SafetyRefusalError("rehearsal", measured=notes[-1], limit="what may be hurt", hint=hint)
    )
