"""The closed shapes a model must answer in. Built for each brief, so that places and faults can only be known ones.

Both providers' schema converters drop or empty some constructs (bounds, open maps), so parameters are lists of name and
value, every field is required, and everything is checked again in ``experts/models/check.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from executor.model.faults import SPECS
from executor.model.vocabulary import Weakness
from experts.brief import Brief
from experts.models.part import Part

ENUM_MAX = 250
"""Longer lists of places are left to the local check; providers bound the size of a schema."""
PROPOSALS_MAX = 30
_TEXT = 600


class Closed(BaseModel):
    """Every field required, nothing else allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Value = Annotated[str, Field(max_length=100, description="As text, for instance 3000 or refuse.")]
Rationale = Annotated[str, Field(max_length=_TEXT)]
Share = Annotated[float, Field(ge=0, le=1)]


def offered_faults(brief: Brief) -> tuple[str, ...]:
    """Kinds of faults that the constraints allow and a proposal can name."""
    limits = brief.constraints
    kinds = [spec.named() for spec in SPECS]
    return tuple(
        kind
        for kind in kinds
        if any(fnmatchcase(kind, glob) for glob in limits.allowed_faults)
        and not any(fnmatchcase(kind, glob) for glob in limits.excluded_faults)
    )


def parameters(kinds: Sequence[str]) -> tuple[str, ...]:
    """Every parameter that one of these faults takes."""
    fields = (name for spec in SPECS if spec.named() in kinds for name in spec.model_fields if name != "kind")
    return tuple(dict.fromkeys(fields))


def proposals_shape(brief: Brief, part: Part) -> type[Closed]:
    """An object with ``proposals`` about the part of the system that the model is told of."""
    services = [service.name for service in part.services]
    edges = [edge.place for edge in part.dependencies]
    faults = offered_faults(brief)
    parameter = create_model(
        "Parameter",
        __base__=Closed,
        name=(_one_of(parameters(faults)), ...),
        value=(Value, ...),
    )
    wanted = brief.constraints.weaknesses or tuple(Weakness)
    one = create_model(
        "ProposalAnswer",
        __base__=Closed,
        weakness=(_one_of([weakness.value for weakness in wanted]), ...),
        place=(_one_of([*services, *edges]), ...),
        fault=(_one_of(faults), ...),
        parameters=(_list_of(parameter), ...),
        target=(_one_of([*services, *edges]), ...),
        probability=(Share, ...),
        rationale=(Rationale, ...),
        remedy=(Rationale, ...),
    )
    return create_model("ProposalsAnswer", __base__=Closed, proposals=(_list_of(one), ...))


def critiques_shape(keys: Sequence[str]) -> type[Closed]:
    """An object with ``critiques`` of the proposals with these keys."""
    one = create_model(
        "CritiqueAnswer",
        __base__=Closed,
        proposal=(_one_of(keys), ...),
        probability=(Share, ...),
        concern=(Rationale, ...),
        veto=(bool, ...),
    )
    return create_model("CritiquesAnswer", __base__=Closed, critiques=(_list_of(one), ...))


def predictions_shape(hypotheses: Sequence[str]) -> type[Closed]:
    """An object with ``predictions`` for these hypotheses."""
    one = create_model(
        "PredictionAnswer", __base__=Closed, hypothesis=(_one_of(hypotheses), ...), probability=(Share, ...)
    )
    return create_model("PredictionsAnswer", __base__=Closed, predictions=(_list_of(one), ...))


def _list_of(model: type[Closed]) -> Any:
    return list[model]  # type: ignore[valid-type]  # made at run time, for this brief


def _one_of(values: Iterable[str]) -> Any:
    known = tuple(dict.fromkeys(values))
    return Literal[known] if 0 < len(known) <= ENUM_MAX else Annotated[str, Field(max_length=200)]
