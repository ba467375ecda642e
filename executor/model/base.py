"""What every contract model shares: frozen, closed, no NaN; and the field types with units."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError


class Contract(BaseModel):
    """A frozen, closed value. Unknown fields and NaN are refused; attribute docstrings reach the JSON Schema.

    Never use ``model_copy(update=...)`` on one: it skips validation. Build a new one instead.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""A name people type: lower case letters, digits, dot, dash, underscore; at most 63."""

PlaceName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}(->[a-z0-9][a-z0-9._-]{0,62})?$"),
]
"""Where a weakness sits: a service (``catalog``) or an edge (``storefront->catalog``)."""

SecretRef = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
"""Where a secret is found, never the secret: ``env:NAME`` or ``file:/path``."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
Line = Annotated[str, StringConstraints(max_length=400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Percent = Annotated[float, Field(ge=0, le=100)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000)]


def why_not(error: Exception) -> str:
    """Why a file of ours could not be read, in a few words on one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{error.title}{' at ' if place else ''}{place}: {first['msg']}"
