"""One experiment of an earlier run as a plan of its own, to see it again."""

from __future__ import annotations

from pydantic import ValidationError

from executor.errors import InputError
from executor.model.base import why_not
from executor.model.digest import digest
from executor.model.plan import Plan, Stage
from executor.model.system import System
from executor.state.home import Home
from executor.state.reading import read
from planner.assemble import plan_on
from planner.runs import unknown


def once_more(home: Home, system: System, again: str, proposer: str) -> Plan:
    """The plan for ``RUN/EXPERIMENT`` on the system as it is now. Raises ``InputError`` if there is no such thing."""
    run, _, name = again.partition("/")
    if not (home.runs / run / "plan.json").is_file():
        raise unknown(home, run, where=again)
    try:
        past = Plan.model_validate_json(read(home.run_dir(run, make=False) / "plan.json"))
    except (OSError, ValidationError) as error:
        raise InputError(f"the plan of {run} cannot be read: {why_not(error)}.", where=again) from None
    found = next((experiment for experiment in past.experiments if experiment.id == name), None)
    if found is None:
        known = ", ".join(experiment.id for experiment in past.experiments)
        raise InputError(f"{run} had no experiment {name!r}.", where=again, hint=f"It had {known}.")
    return plan_on(
        system,
        plan_id=f"again-{digest({'run': run, 'experiment': name})[7:19]}",
        proposer=proposer,
        goal=f"See {name} of {run} again.",
        rationale=f"Once more what {run} showed.",
        stages=(Stage(experiments=(found,)),),
    )
