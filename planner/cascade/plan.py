"""A plan that shows how far the failure of one service spreads, with what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from executor.errors import InputError, SafetyRefusalError
from executor.model.digest import digest
from executor.model.plan import Experiment, Plan, Stage
from executor.model.system import System
from executor.safety.guard import planned_services
from executor.safety.limits import Limits
from executor.safety.rules import refusals
from planner.assemble import plan_on
from planner.cascade.build import experiment, unanswerable
from planner.cascade.predict import foresee
from planner.cascade.scenario import Scenario
from planner.cascade.scenarios import choose
from planner.rehearsal import rehearse, running

TRIALS = 3


@dataclass(frozen=True)
class Planned:
    """The plan, which waits for approval like any other, and what should be known of how it came to be."""

    plan: Plan
    scenario: Scenario
    notes: tuple[str, ...]


def cascade_plan(
    system: System,
    service: str,
    *,
    limits: Limits,
    proposer: str,
    scenario: Scenario = Scenario.AUTO,
    kill: int | None = None,
    trials: int = TRIALS,
) -> Planned:
    """One experiment a stage, milder ones first; what the limits or the rehearsal refuse is left out, and said.

    Raises ``InputError`` where there is nothing to see, and ``SafetyRefusalError`` where nothing may be done.
    """
    chosen = choose(scenario, service, system, kill)
    made = [experiment(blow, service, system, trials=trials) for blow in chosen.blows]
    candidates = [each for each in made if isinstance(each, Experiment)]
    if not candidates:
        raise InputError(f"{'; '.join(unanswerable(made))}.", where=service)
    every = running(system)
    refused = {each.id: reasons for each in candidates if (reasons := rehearse(each, system, limits, every))}
    kept = [each for each in candidates if each.id not in refused]
    if not kept:
        raise _refusal(candidates[0], refused[candidates[0].id], system, limits, proposer)
    left_out = (f"“{each.title}” is left out: {refused[each.id][0]}" for each in candidates if each.id in refused)
    plan = _plan(kept, system, service, chosen.scenario, proposer)
    short = (why for each in kept if (why := _ended_early(each, system, limits)))
    return Planned(plan, chosen.scenario, (*chosen.notes, *unanswerable(made), *left_out, *short))


def _ended_early(experiment: Experiment, system: System, limits: Limits) -> str:
    """That the guard will not let it spread as far as it is foreseen to, and why; empty if it will."""
    fall = {each.service for each in foresee(experiment, system) if each.falls} - planned_services(experiment)
    if len(fall) <= (most := limits.guard.unplanned_services_max):
        return ""
    return (
        f"“{experiment.title}” is ended by the guard once more than {most} of {', '.join(sorted(fall))} fall: which "
        "edges their operations use was not seen (exercises, in system.yaml; murphy discover --live looks)"
    )


def _plan(experiments: list[Experiment], system: System, service: str, scenario: Scenario, proposer: str) -> Plan:
    asked = {"experiments": [each.model_dump(mode="json") for each in experiments], "system": digest(system)}
    return plan_on(
        system,
        plan_id=f"cascade-{digest(asked)[7:19]}",
        proposer=proposer,
        goal=f"How far does the failure of {service} spread? ({scenario.value})",
        rationale="What is milder comes first. Each is tried several times, to see what spreads every time.",
        stages=tuple(Stage(experiments=(each,)) for each in experiments),
    )


def _refusal(
    first: Experiment, reasons: tuple[str, ...], system: System, limits: Limits, proposer: str
) -> SafetyRefusalError:
    """The rule that says no; where none does, what the rehearsal foresees."""
    found = refusals(_plan([first], system, "it", Scenario.AUTO, proposer), system, limits)
    if found:
        return found[0]
    hint = "Choose another service or a milder scenario; only the operator can allow more, in limits.toml."
    measured = f"“{first.title}”: {reasons[0]}"
    return SafetyRefusalError("rehearsal", measured=measured, limit="what may be hurt", hint=hint)
