"""What every contract model shares: frozen, closed, no NaN; and the field types with units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic_core import core_schema


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


@dataclass(frozen=True)
class Matching:
    """A text that must match ``pattern`` whole; one that does not is refused in words, not by the pattern."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        matching = core_schema.str_schema(pattern=self.pattern)
        worded = core_schema.custom_error_schema(matching, "no_match", custom_error_message=f"must be {self.words}")
        return core_schema.chain_schema([core_schema.str_schema(), worded])

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_NAMED = "at most 63 lower case letters, digits, dots, dashes and underscores, the first a letter or digit"
_SQL = r"[A-Za-z_][A-Za-z0-9_]{0,62}"

Name = Annotated[str, Matching(f"^{_NAME}$", f"a name: {_NAMED}")]
"""A name people type."""

PlaceName = Annotated[
    str, Matching(f"^{_NAME}(->{_NAME})?$", f"the name of a service, or two with -> between: {_NAMED}")
]
"""Where a weakness sits: a service (``catalog``) or an edge (``storefront->catalog``)."""

SecretRef = Annotated[
    str,
    Matching(
        r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$", "where the secret is found, never the secret: env:NAME or file:/PATH"
    ),
]
"""Where a secret is found, never the secret: ``env:NAME`` or ``file:/path``."""

SqlName = Annotated[
    str,
    Matching(
        rf"^{_SQL}(\.{_SQL})?$", "a table, perhaps with its schema and a dot before it: letters, digits, underscores"
    ),
]
"""A table, optionally with its schema; never quoted text, so nothing can be smuggled in."""

PlainName = Annotated[str, Matching(f"^{_SQL}$", "a plain name of SQL: letters, digits, underscores")]
"""A column or a role."""

QueueName = Annotated[
    str, Matching(r"^[^\s.*>/\\]{1,200}$", "the name of a stream: up to 200 characters, no space, dot, *, > or slash")
]
"""A queue of a broker."""

Directory = Annotated[
    str,
    Matching(r"^/[^\x00\n]{0,398}[^/\x00\n]$", "a whole path below / with no slash at its end, at most 400 characters"),
]
"""A directory, as this machine sees it."""

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
