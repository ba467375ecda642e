"""Whether data survives a fault: records written meanwhile and read back, and what must be true of all data."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from executor.model.base import Contract, Milliseconds, Name, Seconds, SecretRef
from executor.model.probe import HttpProbe

ID = "{id}"
"""Stands for a record's own id in what is written."""
PREFIX = "{prefix}"
"""Stands for what all ids of one trial begin with in what is read, where a reading can be narrowed down to them."""


class SqlQuery(Contract):
    """One statement to PostgreSQL, in a session of its own."""

    kind: Literal["postgresql"] = "postgresql"
    dsn: SecretRef
    """Where the connection string is found; only the reference is ever stored. It may name several hosts."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    """As a superuser it must name schemas: then only the server's own functions and operators are found without."""
    timeout_ms: Annotated[Milliseconds, Field(gt=0)] = 2_000


Access = Annotated[HttpProbe | SqlQuery, Field(discriminator="kind")]
"""A way to a service's data, told apart by ``kind``."""


class DataCheck(Contract):
    """Records written at a fixed rate, each under an id of its own, and read back after recovery; and invariants.

    It *writes into the system*, and what it wrote stays there: so only the system's owner declares it, in system.yaml,
    and a plan that has another is refused. Ids are UUIDs that begin with ``6d757270-6879-8`` ("murphy").
    """

    id: Name
    service: Name
    """The service whose promise it is that what it has acknowledged is kept."""
    write: Access | None = None
    """Writes one record; its address, body or statement holds ``{id}``. A good answer acknowledges it: from then on it
    must be there. ``None``: only ``invariants`` are asked."""
    read: Access | None = None
    """Lists the ids of all records that are there, one for each: in an answer's body, whatever its form, or in the
    first column. ``{prefix}`` in it is what all ids of a trial begin with."""
    invariants: tuple[Access, ...] = ()
    """What is true of data that agrees with itself: a query whose first value is true, a request with a good answer.
    Asked before the fault and after recovery."""
    rate_hz: Annotated[float, Field(gt=0, le=50)] = 10
    """Records a second."""
    settle_s: Annotated[Seconds, Field(le=60)] = 2
    """How long after recovery the data may take to agree, seconds; until then it is read again."""

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Every way in which it reaches the data."""
        return (*(each for each in (self.write, self.read) if each is not None), *self.invariants)

    @property
    def probes(self) -> tuple[HttpProbe, ...]:
        """Those of them that are requests over HTTP."""
        return tuple(access for access in self.accesses if isinstance(access, HttpProbe))

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.write is None) != (self.read is None):
            raise ValueError("give write and read, or neither")
        if self.write is None and not self.invariants:
            raise ValueError("give write and read, or invariants")
        if self.write is not None and not any(ID in text for text in texts(self.write)):
            raise ValueError("write must hold {id}, or nobody can tell its records apart")
        return self


def texts(access: Access) -> tuple[str, ...]:
    """What of it may hold a placeholder."""
    if isinstance(access, SqlQuery):
        return (access.query,)
    return (access.url, access.json_body or "")


def filled(access: Access, placeholder: str, value: str) -> Access:
    """The same with a value in place of a placeholder. The value must be plain: letters, digits, dashes."""
    if isinstance(access, SqlQuery):
        return SqlQuery(**{**dict(access), "query": access.query.replace(placeholder, value)})
    body = None if access.json_body is None else access.json_body.replace(placeholder, value)
    return HttpProbe(**{**dict(access), "url": access.url.replace(placeholder, value), "json_body": body})
