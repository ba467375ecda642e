"""What the operator allows: ``limits.toml``. A plan may ask for less, never for more; every key has a safe default."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from os.path import lexists
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from executor.errors import InputError
from executor.model.base import Contract, Line, Name, Percent, Probability, Seconds, why_not
from executor.model.probe import HttpProbe
from executor.model.vocabulary import Environment
from executor.safety.stricter import looser, within
from executor.safety.windows import ChangeWindow
from executor.state.home import Home
from executor.state.reading import read
from executor.state.rows import LEASE_S_MAX

FILE = "limits.toml"

_TYPES = {"model_type": "should be a table", "tuple_type": "should be a list", "string_type": "should be in quotes"}
"""TOML's words for what pydantic calls otherwise."""


class BlastRadius(Contract):
    """The most that all runs together may touch at one moment. One instance, or one edge, is always allowed."""

    instances_percent: Annotated[Percent, Field(gt=0)] = 10
    """Share of the system's instances."""
    services_percent: Annotated[Percent, Field(gt=0)] = 10
    """Share of the system's services."""
    traffic_percent: Annotated[Percent, Field(gt=0)] = 10
    """Share of what users do (operations, by weight) that is predicted to pass over what is struck."""
    protected_impact_percent: Percent = 10
    """Share of its work that any protected service is predicted to lose; this has no exception."""
    strangers_max: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Pods, containers and processes that system.yaml does not name and a fault would strike all the same, at most."""


class Guard(Contract):
    """When the guard ends a run by itself, beside a plan's own abort conditions."""

    check_silent_s: Annotated[Seconds, Field(gt=0)] = 15
    """A check that brought no answer at all for so long cannot be read any more, which counts as a violation."""
    unplanned_services_max: Annotated[int, Field(ge=0)] = 2
    """Services that may leave steady state although no hypothesis of the experiment expects them to."""
    cascade_per_s_max: Annotated[float, Field(gt=0, le=1000)] = 0.5
    """Such services that may leave it a second, reckoned over four seconds, even if they come back."""
    cost_percent_max: Annotated[Percent, Field(gt=0)] = 25
    """Share of one processor that the guard itself may use over a run's length."""
    cpu_percent_max: Annotated[Percent, Field(gt=0)] = 100
    """Host processor use, averaged over five seconds, above which a run is ended; 100 switches this off."""
    memory_free_percent_min: Percent = 4
    """Free memory of the host below which a run is ended."""


class ErrorBudget(Contract):
    """No run while too little of the error budget is left, or nobody can tell; one under way is ended then."""

    source: Line = ""
    """Address of a Prometheus server or of a JSON document, or the path of a JSON file; empty: no budget is minded."""
    query: Line = ""
    """PromQL whose one value is the share left, 0 to 1; empty: the JSON is that number, or has it as left."""
    floor: Probability = 0.1
    """Share that must be left."""

    @property
    def remote(self) -> bool:
        """Whether it is read from an address."""
        return "://" in self.source

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.remote:
            try:
                HttpProbe(url=self.source)
            except ValidationError as error:
                raise ValueError(f"source is no address that can be asked ({why_not(error)})") from None
        elif self.query:
            raise ValueError("a query needs the address of a Prometheus server as source")
        return self


class Limits(Contract):
    """Everything the operator can set. Its digest is part of every approval."""

    format: Literal["murphy.limits/1"] = "murphy.limits/1"
    """Version of this file's format."""
    protected_services: tuple[Name, ...] = ()
    """Never a target, in addition to those that the system itself calls protected."""
    critical_in_production: bool = False
    """Whether services of criticality 3 may be struck in production; if not, only what they depend on may be."""
    allowed_faults: tuple[Line, ...] = ("*",)
    """Globs over fault kinds, for instance network.* or service.hang."""
    environments: tuple[Environment, ...] = (Environment.DEVELOPMENT, Environment.STAGING)
    """Where runs are allowed at all: development, staging, production."""
    fault_s_max: Annotated[Seconds, Field(gt=0)] = 60
    """Longest that one fault may last, seconds."""
    run_s_max: Annotated[Seconds, Field(gt=0)] = 3600
    """Longest that one run may take, seconds."""
    concurrent_runs_max: Annotated[int, Field(ge=1, le=100)] = 1
    """Runs that may be under way at one moment."""
    concurrent_faults_max: Annotated[int, Field(ge=1, le=1000)] = 3
    """Faults that may be there at one moment, over all runs; a fault on two instances counts twice."""
    lease_s: Annotated[Seconds, Field(ge=1, le=LEASE_S_MAX)] = 5
    """How long a fault outlives an executor that no longer renews it, seconds."""
    state_free_mib_min: Annotated[int, Field(ge=0, le=1_000_000)] = 64
    """Room that must be left for the state directory before a run begins, MiB: what is owed is written there."""
    approval_s_max: Annotated[Seconds, Field(gt=0)] = 86_400
    """Longest validity of an approval, seconds."""
    approval_uses_max: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most runs that one approval may be good for; campaigns need more than one."""
    approvers: tuple[Name, ...] = ()
    """Keys that may approve plans and sign policies; empty: any trusted key."""
    change_windows: tuple[ChangeWindow, ...] = ()
    """When runs may be under way: tables with days, begins, ends, time_zone, environments; production needs one."""
    blast_radius: BlastRadius = BlastRadius()
    guard: Guard = Guard()
    error_budget: ErrorBudget = ErrorBudget()


def load_limits(path: Path | None = None, *, home: Home | None = None) -> Limits:
    """The limits in force: the operator's, ``limits.toml`` of the home, and what a file makes stricter of them.

    That file is ``path``, or ``limits.toml`` in the working directory; where the home has none, it alone holds, and
    where neither is there, the defaults do. Raises ``InputError`` naming the file, its line and key, and what is
    allowed there, also where the file would allow more than the operator does.
    """
    project, operator = _files(path, home)
    theirs = _parsed(operator)[0] if operator else None
    if project is None:
        return theirs or Limits()
    mine, text = _parsed(project)
    if theirs is None:
        return mine
    for key, own, limit in looser(mine, theirs):
        said, allowed = _toml(_plain(own)), _toml(_plain(limit))
        raise InputError(
            f"{key} is {said}, which allows more than the operator's {allowed} in {operator}.",
            where=f"{project}{_line(text, key.split('.'), 0)}",
            hint=f"Here it can only be stricter: remove it, or have the operator change {operator}.",
        )
    return within(mine, theirs)


def in_force(path: Path | None = None, *, home: Home | None = None) -> str:
    """Which files ``load_limits`` goes by, in words."""
    project, operator = (file.resolve() if file else None for file in _files(path, home))
    if project and operator:
        return f"{project}, within the operator's {operator}"
    return str(project or operator or "no file: the defaults")


def _files(path: Path | None, home: Home | None) -> tuple[Path | None, Path | None]:
    """The project's file and the operator's, as far as they are there; a ``path`` that is named must be.

    A link that leads nowhere is there, and cannot be read: what it led to may have protected something.
    """
    operator = (home or Home.seen()).path / FILE
    project = path or Path(FILE)
    if operator.exists() and project.exists() and project.samefile(operator):
        return None, operator
    return project if path or lexists(project) else None, operator if lexists(operator) else None


def _parsed(path: Path) -> tuple[Limits, str]:
    """What a file says, and its text."""
    text = _read(path)
    try:
        # as JSON, where strict still takes a list for a tuple and a word for an environment, but no "5" for a number
        return Limits.model_validate_json(json.dumps(tomllib.loads(text), default=str), strict=True), text
    except ValidationError as error:
        raise _explained(error, text, path) from error
    except RecursionError:
        raise InputError("is nested too deeply.", where=str(path)) from None
    except ValueError as error:  # TOML's own, and Python's for a number of thousands of digits
        raise InputError(f"not TOML: {error}.", where=str(path)) from error


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return TypeAdapter(Any).dump_python(value, mode="json")


def to_toml(limits: Limits) -> str:
    """A ``limits.toml`` with every key and its meaning; reads back as ``limits``."""
    lines = ["# What Murphy may do here. A plan may ask for less, never for more."]
    tables: list[str] = []
    for name, field in Limits.model_fields.items():
        if isinstance(field.default, BaseModel):
            tables += ["", f"# {type(field.default).__doc__}", f"[{name}]", *_keys(getattr(limits, name))]
    return "\n".join([*lines, *_keys(limits), *tables]) + "\n"


def _keys(values: BaseModel) -> list[str]:
    lines: list[str] = []
    for name, field in type(values).model_fields.items():
        value = values.model_dump(mode="json")[name]
        if not isinstance(value, dict):  # a table; those come last in TOML
            lines += ["", f"# {field.description}", f"{name} = {_toml(value)}"]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)  # numbers, truth and strings are spelt as in JSON


def _read(path: Path) -> str:
    try:
        return read(path).decode()
    except FileNotFoundError:
        raise InputError("there is no such file.", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}.", where=str(path)) from error


def _explained(error: ValidationError, text: str, path: Path) -> InputError:
    """The first thing that is wrong, an unknown key before anything else: it often explains the rest."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"] if isinstance(part, str)]
    key = ".".join(keys)
    place = next((part for part in first["loc"] if isinstance(part, int)), 0)
    where = f"{path}{_line(text, keys, place)}"
    if first["type"] == "missing":
        return InputError(f"{keys[0]} lacks {keys[-1]}.", where=where)
    if first["type"] == "value_error":
        return InputError(f"{key}: {first['ctx']['error']}.", where=where)
    if first["type"] != "extra_forbidden":
        rule = _TYPES.get(first["type"]) or first["msg"].removeprefix("Input ").removeprefix("String ")
        return InputError(f"{key} is {json.dumps(first['input'], default=str)}; it {rule}.", where=where)
    table = _table(keys[0]) if len(keys) > 1 else Limits
    known = [name for name in table.model_fields if name != "format"]
    near = difflib.get_close_matches(keys[-1], known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
    return InputError(f"{key} is not a limit.", where=where, hint=hint)


def _table(name: str) -> type[BaseModel]:
    """What stands under a table's name, or under each of several tables of one name."""
    field = Limits.model_fields[name]
    kind: type[BaseModel] = (
        type(field.default) if isinstance(field.default, BaseModel) else get_args(field.annotation)[0]
    )
    return kind


def _line(text: str, keys: list[str], place: int) -> str:
    """``, line N`` of a key as it is usually written, in the table of that place among its like; else empty."""
    if not keys:
        return ""
    table, wanted = "", re.compile(rf"\s*(\[+\s*)?{re.escape(keys[-1])}\s*[\].=]")
    for number, line in enumerate(text.splitlines(), start=1):
        if wanted.match(line) and table == ".".join(keys[:-1]) and place <= 0:
            return f", line {number}"
        if header := re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line):
            place -= header[1] == table
            table = header[1]
    return ""
