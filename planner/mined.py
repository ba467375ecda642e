"""What the ledger says beyond single runs: templates and patterns, mined anew each time."""

from __future__ import annotations

from dataclasses import dataclass

from executor.errors import InputError
from executor.state.home import Home
from knowledge.ledger import Ledger
from knowledge.patterns.frequent import FrequentSets, frequent
from knowledge.patterns.recovery import RecoveryPatterns, recoveries, recovery_patterns
from knowledge.patterns.templates import Template, templates
from planner.runs import none_yet

SHOWN_MAX = 10


@dataclass(frozen=True)
class Patterns:
    """Over all systems, or of one."""

    frequent: FrequentSets
    recovery: RecoveryPatterns
    systems: tuple[str, ...]
    """Whose runs these rest on, by name."""


def mined_templates(home: Home) -> tuple[Template, ...]:
    """Every template that the ledger gives, the most often seen first."""
    with Ledger.open(home) as ledger:
        measures = {run: told for system in _systems(ledger) for run, told in ledger.measures(system).items()}
        return templates(ledger.past(), ledger.actions(), ledger.findings(), measures)


def named_templates(home: Home, names: list[str]) -> tuple[Template, ...]:
    """Those of these names, ``all`` being every one. Raises ``InputError`` that names what there is."""
    found = {template.name: template for template in mined_templates(home)}
    unknown = [name for name in names if name != "all" and name not in found]
    if unknown or not found:
        shown = list(found)[:SHOWN_MAX]
        more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
        raise InputError(
            f"there is no template {', '.join(unknown)}." if unknown else "there is no template yet.",
            hint=f"There are {', '.join(shown)}{more}."
            if found
            else "A finding becomes one once two runs have shown it: murphy plan --again repeats an experiment.",
        )
    return tuple(found.values()) if "all" in names else tuple(found[name] for name in dict.fromkeys(names))


def mined_patterns(home: Home, system: str | None = None) -> Patterns:
    """What is common to the results of all systems, or of one. Raises ``InputError`` where nothing was run."""
    with Ledger.open(home) as ledger:
        systems = _systems(ledger)
        if not systems:
            raise none_yet()
        if system is not None and system not in systems:
            raise InputError(
                f"no run of a system {system} is recorded.", hint=f"There are runs of {', '.join(systems)}."
            )
        chosen = systems if system is None else (system,)
        past = ledger.past(system)
        measures = {run: told for name in chosen for run, told in ledger.measures(name).items()}
    return Patterns(frequent(past), recovery_patterns(recoveries(past, measures)), chosen)


def _systems(ledger: Ledger) -> tuple[str, ...]:
    return tuple(sorted({run.system for run in ledger.runs()}))
