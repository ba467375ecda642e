"""A goal in plain words, as far as it can be understood without a model: what it names narrows what is planned.

Understood: names of services ("only cart and checkout"), "no data faults" and its like for each layer, weaknesses by
their glossary words ("retry storm"), and "quick" or "thorough". Anything else stays in the goal, for models to read.
"""

from __future__ import annotations

import re
from typing import Final

from executor.errors import InputError
from executor.model.system import System
from executor.model.vocabulary import Weakness
from experts.brief import Constraints

LAYERS: Final = ("service", "network", "resource", "data", "infrastructure")
_NEVER = r"(?:no|except|excluding|not|never|leave out|avoid)"
"""``without`` is none of them: "does front cope without stock" asks for stock's failure."""
_BETWEEN = r"(?:\s+(?:the|any|of|touching|on))*\s+"


def understand(goal: str, system: System, given: Constraints) -> tuple[Constraints, tuple[str, ...]]:
    """``given`` narrowed by what the goal names, and in words what was understood. Never widens anything.

    Raises ``InputError`` if the goal leaves out a service that was asked for by name.
    """
    text = goal.lower()
    excluded = {name for name in _names(system) if _is_refused(name, text)}
    named = {name for name in _names(system) if _is_named(name, text)} - excluded
    if contradicted := excluded & set(given.services):
        them = "it" if len(contradicted) == 1 else "them"
        raise InputError(
            f"the goal leaves out {_listed(contradicted)}, --service asks for {them}.",
            where="--goal",
            hint="Change one of the two.",
        )
    layers = [layer for layer in LAYERS if _is_spared(layer, text)]
    weaknesses = [w for w in Weakness if re.search(rf"\b{re.escape(w.value.replace('_', ' '))}s?\b", text)]
    notes = []
    if named:
        notes.append(f"only {_listed(named)} and the edges that touch {'it' if len(named) == 1 else 'them'}")
    if excluded:
        notes.append(f"not {_listed(excluded)}")
    if layers:
        notes.append(f"no {_listed(layers)} faults")
    if weaknesses:
        notes.append(f"only {_listed(w.value.replace('_', ' ') for w in weaknesses)}")
    narrowed = {
        **given.model_dump(),
        "services": given.services or tuple(sorted(named)),
        "excluded_services": tuple(sorted({*given.excluded_services, *excluded})),
        "excluded_faults": (*given.excluded_faults, *(f"{layer}.*" for layer in layers)),
        "weaknesses": given.weaknesses or tuple(weaknesses),
    }
    return Constraints.model_validate(narrowed), tuple(notes)


def _names(system: System) -> list[str]:
    return [service.name for service in system.services]


def _is_named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def _is_refused(name: str, text: str) -> bool:
    return re.search(rf"\b{_NEVER}{_BETWEEN}{re.escape(name)}(?![\w-])", text) is not None


def _is_spared(layer: str, text: str) -> bool:
    never = rf"{_NEVER}{_BETWEEN}{layer}\b|without{_BETWEEN}{layer} faults?\b"
    return re.search(rf"\b(?:{never})", text) is not None


def _listed(names: object) -> str:
    return ", ".join(sorted(map(str, names)))  # type: ignore[call-overload]
