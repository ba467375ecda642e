"""Where each class of weakness can be at all: a declared rule over topology and technology, with a base rate."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, TypeAdapter, model_validator

from executor.model.base import Contract, Line
from executor.model.vocabulary import Weakness
from experts.conditions import ServiceIs, When
from experts.entries import Rate


class Rule(Contract):
    """One sort of place at which a class can be. A class may have several; what any of them fits, it applies to."""

    weakness: Weakness
    at: Literal["service", "edge"]
    when: When = When()
    base_rate: Annotated[float, Field(gt=0, lt=1)]
    """P(present) at a place that fits ``when``, where nothing more is known."""
    rates: tuple[Rate, ...] = ()
    """Other base rates for some of those places; the first that fits counts."""
    because: Line
    source: Line

    @model_validator(mode="after")
    def _speaks_of_its_place(self) -> Self:
        conditions = [self.when, *(rate.when for rate in self.rates)]
        if self.at == "service" and any(when.about_edges for when in conditions):
            raise ValueError("edge, caller and callee are conditions for rules at an edge")
        if self.at == "edge" and any(when.service != ServiceIs() for when in conditions):
            raise ValueError("service is a condition for rules at a service; say caller or callee")
        return self


_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the classes."""
    told: Any = yaml.safe_load((resources.files("experts") / "applicable.yaml").read_text(encoding="utf-8"))
    return _RULES.validate_python(told["rules"])
