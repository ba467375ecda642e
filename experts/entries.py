"""What a playbook is made of: entries, the faults they would try, vetoes. Closed, so that a slip is an error."""

from __future__ import annotations

import re
import string
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from executor.model.base import Contract, Line, Name, Probability, Text
from executor.model.faults import Fault, FaultSpec, TargetKind
from executor.model.vocabulary import Environment, Weakness
from experts.conditions import ServiceIs, When
from experts.proposal import BESIDE_MAX, CONCURRENCY_MAX, TRIALS_MAX

STANDS_FOR: Final = {"{table}": "t", "{queue}": "q", "{directory}": "/d", "{zone}": "z"}
"""What may stand in a fault's parameters for what the place has, with an example of it: each table whose lock would
tell something there, the struck service's busiest queue or directory, each of its zones."""
_TIMEOUTS: Final = re.compile(r"\{(\d+(?:\.\d+)?) timeout\}")
"""``{3 timeout}``: three times what the caller of the place, or of the struck edge, is known or taken to wait."""
_EXAMPLE_MS: Final = 1000.0
WORDS = ("place", "service", "caller", "callee", "target", "technology", "operations", "others", "past")
"""What a rationale or remedy may mention in braces."""

Where = Literal[
    "edge",
    "cut",
    "service",
    "caller",
    "callee",
    "edges_out",
    "edges_in",
    "edges_beyond",
    "edges_beside",
    "front",
    "callees",
]
_AT_SERVICE = ("service", "edges_out", "edges_in", "front", "callees")
_FAULT: TypeAdapter[Any] = TypeAdapter(Fault)


def timeouts(value: Any) -> float | None:
    """How many time-outs are meant by what stands there; ``None``: it speaks of none."""
    found = _TIMEOUTS.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found else None


def _open(value: Any) -> bool:
    return isinstance(value, str) and (value in STANDS_FOR or timeouts(value) is not None)


def _example(value: Any, filling: str | None = None) -> Any:
    """What stands there: the filling or an example for what is to be put in, else the value itself."""
    if not _open(value):
        return value
    if filling is not None:
        return filling if value in STANDS_FOR else float(filling)
    times = timeouts(value)
    return STANDS_FOR[value] if times is None else times * _EXAMPLE_MS


def _taken_by(target: Where) -> TargetKind:
    if target == "cut":
        return "groups"
    return "edge" if target.startswith("edge") else "instances"


class Rate(Contract):
    """A base rate for places that look a certain way."""

    when: When
    rate: Probability


class Strike(Contract):
    """A fault, and on what."""

    fault: dict[str, Any]
    """As in a plan; what stands in braces is put in, see ``STANDS_FOR`` and ``timeouts``."""
    target: Where
    """``edge``: the place itself; ``cut``: its caller and its callee as two groups; ``service``, ``caller`` or
    ``callee``: one instance of it; ``edges_out``, ``edges_in``: each call that the place makes or receives;
    ``edges_beyond``: each call that the edge's callee makes; ``edges_beside``: each other call of its caller that some
    operation makes as well; ``front``: who calls the place, or the place itself; ``callees``: an instance of each
    service that it calls."""
    through: When = When()
    """Which of several edges are meant."""

    @field_validator("fault")
    @classmethod
    def _is_a_fault(cls, fault: dict[str, Any]) -> dict[str, Any]:
        _FAULT.validate_python({key: _example(value) for key, value in fault.items()})
        return fault

    def made(self, filling: str | None = None) -> Any:
        """The fault itself, with what it wants put in; without any, an example."""
        return _FAULT.validate_python({key: _example(value, filling) for key, value in self.fault.items()})

    def is_like(self, fault: FaultSpec) -> bool:
        """Whether ``fault`` is this one with some table, queue, directory, zone or time-out."""
        given = fault.model_dump()
        if given["kind"] != self.fault["kind"]:
            return False
        wanted = next((key for key, value in self.fault.items() if value == self.wants), None)
        return bool(self.made(str(given[wanted]) if wanted else None) == fault)

    @property
    def wants(self) -> str:
        """What has to be put in, as in ``STANDS_FOR`` or as ``timeouts`` reads it; empty: nothing."""
        return next((value for value in self.fault.values() if _open(value)), "")


class Choice(Strike):
    """One fault that would reveal the weakness: on what, how often, under what load, and beside which other."""

    when: When = When()
    """Further conditions on the place."""
    rate: Probability = 1.0
    """P(this fault reveals the weakness | it is there)."""
    tells: Line = ""
    """How it differs from the other choices."""
    beside: Annotated[tuple[Strike, ...], Field(max_length=BESIDE_MAX)] = ()
    """Further faults at the same time, each on the first target that fits; where one has none, nothing is proposed."""
    trials: Annotated[int, Field(ge=1, le=TRIALS_MAX)] = 1
    concurrency: Annotated[int, Field(ge=0, le=CONCURRENCY_MAX)] = 0
    """As in a proposal."""

    @property
    def strikes(self) -> tuple[Strike, ...]:
        """All that is done at once."""
        return (self, *self.beside)


class Entry(Contract):
    """One weakness to suspect where conditions hold, and the faults that tell, in preferred order."""

    id: Name
    weakness: Weakness
    at: Literal["service", "edge"]
    when: When = When()
    base_rate: Annotated[float, Field(gt=0, lt=1)]
    """P(present) at a place that fits ``when``, before anything else is known."""
    rates: tuple[Rate, ...] = ()
    """Other base rates for some of those places; the first that fits counts."""
    faults: Annotated[tuple[Choice, ...], Field(min_length=1)]
    rationale: Text
    remedy: Text
    source: Line

    @field_validator("rationale", "remedy")
    @classmethod
    def _words_known(cls, text: str) -> str:
        for _, word, _, _ in string.Formatter().parse(text):
            if word is not None and word not in WORDS:
                raise ValueError(f"{{{word}}} is not known here; known are {', '.join(WORDS)}")
        return text

    @model_validator(mode="after")
    def _fits_its_place(self) -> Self:
        conditions = [self.when, *(rate.when for rate in self.rates), *(choice.when for choice in self.faults)]
        if self.at == "service" and any(when.about_edges for when in conditions):
            raise ValueError("edge, caller and callee are conditions for entries at an edge")
        if self.at == "edge" and any(when.service != ServiceIs() for when in conditions):
            raise ValueError("service is a condition for entries at a service; say caller or callee")
        for strike in (strike for choice in self.faults for strike in choice.strikes):
            if (strike.target in _AT_SERVICE) != (self.at == "service"):
                raise ValueError(f"a fault with target {strike.target} does not fit an entry at {self.at}")
            wants = strike.made().target_kind
            if wants != _taken_by(strike.target):
                raise ValueError(f"{strike.fault['kind']} takes a target of kind {wants}, not {strike.target}")
        return self


class Veto(Contract):
    """What the safety officer never lets pass. All conditions given must be true."""

    id: Name
    fault: Line = "*"
    """Glob over fault kinds."""
    struck: ServiceIs = ServiceIs()
    """True of the service whose instance is struck, or of the caller of a struck edge."""
    environments: tuple[Environment, ...] = tuple(Environment)
    together: bool | None = None
    """Whether another fault is there at the same time."""
    repeated: bool | None = None
    """Whether it is done more than once."""
    reason: Text
    """May mention ``{target}`` and ``{fault}``."""

    @field_validator("reason")
    @classmethod
    def _words_known(cls, text: str) -> str:
        text.format(target="", fault="")
        return text


class Playbook(Contract):
    """One expert's entries, the classes it has an opinion on, and what it vetoes."""

    expert: Name
    field: tuple[Weakness, ...] = ()
    """Classes it comments on; empty: those of its entries."""
    entries: tuple[Entry, ...] = ()
    vetoes: tuple[Veto, ...] = ()

    @model_validator(mode="after")
    def _ids_once(self) -> Self:
        ids = [entry.id for entry in self.entries] + [veto.id for veto in self.vetoes]
        for one in ids:
            if ids.count(one) > 1:
                raise ValueError(f"entry {one} is there twice")
        return self

    @property
    def opinions_on(self) -> tuple[Weakness, ...]:
        """Classes it comments on."""
        return self.field or tuple(dict.fromkeys(entry.weakness for entry in self.entries))
