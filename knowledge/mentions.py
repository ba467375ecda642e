"""What a text speaks of in the terms that hypotheses have: weaknesses, technologies, kinds, faults, services."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from knowledge.features import Features
from knowledge.phrases import FAULTS, KINDS, TECHNOLOGIES, WEAKNESSES

_WHOLE: Final = (("technology", TECHNOLOGIES), ("kind", KINDS), ("fault", FAULTS))
_WORD = re.compile(r"[\w/]+")
_SEVERAL = re.compile(r"[ .]")
"""In a form: it may be several words and is sought in the text; others are held against each word, once and for all."""


def _compiled(key: str, phrases: dict[str, tuple[str, ...]], *, whole: bool) -> list[tuple[str, re.Pattern[str]]]:
    edge = r"\b" if whole else ""
    sought = ((name, [f for f in forms if not whole or _SEVERAL.search(f)]) for name, forms in phrases.items())
    return [(f"{key}={name}", re.compile(f"{edge}(?:{'|'.join(forms)}){edge}")) for name, forms in sought if forms]


_PHRASES: Final = (
    *_compiled("weakness", {n: (*forms, n.replace("_", " ")) for n, forms in WEAKNESSES.items()}, whole=False),
    *(pair for key, phrases in _WHOLE for pair in _compiled(key, phrases, whole=True)),
)
_WORDS: Final = tuple(
    (f"{key}={name}", re.compile("|".join(single)))
    for key, phrases in _WHOLE
    for name, forms in phrases.items()
    if (single := [form for form in forms if not _SEVERAL.search(form)])
)


@lru_cache(maxsize=50_000)
def _of_word(word: str) -> tuple[str, ...]:
    return tuple(fact for fact, form in _WORDS if form.fullmatch(word))


_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
WEIGHTS: Final = {"name": 3.0, "technology": 1.5, "weakness": 1.5, "fault": 1.0, "kind": 0.7}
"""How much it counts that two speak of the same."""


@dataclass(frozen=True)
class Mentions:
    """What one text, or one hypothesis, speaks of."""

    facts: frozenset[str]
    """``weakness=missing_timeout``, ``technology=redis``, ``kind=cache``, ``fault=slow``."""
    names: frozenset[str]
    """Words that may be the names of services."""

    def of(self, key: str) -> frozenset[str]:
        """The values of one sort of fact."""
        return frozenset(fact.partition("=")[2] for fact in self.facts if fact.startswith(f"{key}="))


def mentions(text: str) -> Mentions:
    """What the text speaks of. A phrase that names several weaknesses counts for each."""
    plain = " ".join(text.lower().split())
    facts = {fact for fact, form in _PHRASES if form.search(plain)}
    facts.update(fact for word in set(_WORD.findall(plain)) for fact in _of_word(word))
    return Mentions(frozenset(facts), names(plain))


def names(text: str) -> frozenset[str]:
    """The words of a text, and each two that follow one another, as names of services are written."""
    words = _NAME.findall(text.lower())
    return frozenset((*words, *(f"{a}-{b}" for a, b in pairwise(words))))


def described(features: Features) -> Mentions:
    """What a hypothesis, or a past result, speaks of by its known facts; its place's services are its names."""
    told = {"weakness": features.weakness.value, "technology": features.technology, "kind": features.kind}
    facts = [f"{key}={value}" for key, value in told.items() if value]
    facts += [f"technology={features.caller_technology}"] if features.caller_technology else []
    facts += [f"fault={name}" for name in features.fault_types]
    return Mentions(frozenset(facts), frozenset(features.place.split("->")))
