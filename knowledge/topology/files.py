"""YAML files that people write: read safely, checked closely, and wrong in one clear sentence with a line number."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from executor.errors import InputError
from executor.state.reading import read as read_whole

Model = TypeVar("Model", bound=BaseModel)
_Path = tuple[int | str, ...]
_VALUES_MAX = 1_000_000
"""More values than this, with every alias followed, is no file that a person has written."""
_TEXT_SIZE = 100
"""So many characters of one text count as a value more."""
_BYTES_MAX = 8 * 2**20


def read(path: Path, model: type[Model], *, absent: str = "") -> Model:
    """The file as ``model``. Raises ``InputError`` that names file, line, field, what is allowed and what was near.

    ``absent``: what to do if there is no such file.
    """
    try:
        text = read_whole(path, most=_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = absent if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"cannot be read: {reason}.", where=str(path), hint=hint) from None
    return parse(text, model, where=str(path))


def parse(text: str, model: type[Model], *, where: str) -> Model:
    """The same from text; ``where`` names it in errors."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None and _values(node, {}) > _VALUES_MAX:
            raise InputError(f"holds over {_VALUES_MAX} values once its aliases are followed.", where=where)
        data = yaml.safe_load(text)
    except RecursionError:
        raise InputError("refers to itself, or is nested too deeply.", where=where) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"is not valid YAML: {problem}.", where=place) from None
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ):  # PyYAML's own, for a day 99 or a number without digits
        raise InputError("is not valid YAML: a number or a date in it is none.", where=where) from None
    if not isinstance(data, dict):
        raise InputError("must be a YAML mapping.", where=where, hint=f"Allowed: {_listed(model.model_fields)}.")
    for twice, line in _repeated_keys(node):
        raise InputError(f"{twice} is there twice.", where=f"{where}:{line}")
    try:
        return model.model_validate_json(_as_json(data, where), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        near = _nearest_value(first.get("input"), first.get("ctx", {}))
        raise _explained(first["type"], first["loc"], first["msg"] + near, data, node, model, where) from None


def _as_json(data: Any, where: str) -> str:
    try:
        return json.dumps(data, default=str)
    except (TypeError, ValueError) as error:
        raise InputError(f"holds what a file of this kind cannot: {error}.", where=where) from None


def _explained(
    kind: str, loc: _Path, message: str, data: Any, node: yaml.Node | None, model: type[BaseModel], where: str
) -> InputError:
    steps = tuple(_real_steps(loc, data))
    line = _line(node, steps)
    place = f"{where}:{line}" if line else where
    path = _dotted(steps)
    if kind == "extra_forbidden":
        allowed = sorted(_allowed(model, loc[:-1]))
        near = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        return InputError(f"unknown field {path}.", where=place, hint=f"{hint}Allowed: {_listed(allowed)}.")
    if loc and loc[-1] == "[key]":
        return InputError(f"{_dotted(steps[:-1])} is not a name that can be used here: {message}.", where=place)
    if kind == "missing":
        return InputError(f"{path} is missing.", where=place)
    return InputError(f"{path}: {message.removeprefix('Value error, ')}." if path else f"{message}.", where=place)


def _nearest_value(given: Any, context: dict[str, Any]) -> str:
    """`` (did you mean http?)`` where the allowed values are known and one is near."""
    allowed = context.get("expected") or context.get("expected_tags") or ""
    given = context.get("tag", given)
    near = difflib.get_close_matches(str(given), str(allowed).replace("'", "").replace(" or ", ", ").split(", "), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _real_steps(loc: _Path, data: Any) -> Iterator[int | str]:
    """Pydantic's path without the tags of unions, which stand in no file."""
    for index, step in enumerate(loc):
        in_map = isinstance(data, dict) and step in data
        if in_map or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
        elif index < len(loc) - 1:
            continue
        yield step


def _dotted(steps: _Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _line(node: yaml.Node | None, steps: _Path) -> int | None:
    """Line of the deepest node on the path that is in the file."""
    line = node.start_mark.line + 1 if node else None
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1 if node else line
        else:
            return line
    return line


def _allowed(model: type[BaseModel], loc: _Path) -> set[str]:
    """Fields that the schema allows at a path: followed through lists, maps and tagged unions."""
    schema = model.model_json_schema()
    here = [schema]
    for step in loc:
        here = [after for one in here for after in _below(_resolve(schema, one), step)]
    return {name for one in here for name in _leaf_fields(schema, one)}


def _below(options: list[dict[str, Any]], step: int | str) -> Iterator[dict[str, Any]]:
    for option in options:
        if isinstance(step, int):
            if "items" in option:
                yield option["items"]
        elif step in option.get("properties", {}):
            yield option["properties"][step]
        elif "patternProperties" in option:  # a map whose keys are names
            yield from option["patternProperties"].values()
        elif isinstance(option.get("additionalProperties"), dict):
            yield option["additionalProperties"]
        elif option.get("properties", {}).get("kind", {}).get("const") == step:  # a union's tag
            yield option


def _resolve(schema: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in one:
        return _resolve(schema, schema["$defs"][one["$ref"].rsplit("/", 1)[1]])
    options = one.get("anyOf") or one.get("oneOf")
    return [found for option in options for found in _resolve(schema, option)] if options else [one]


def _leaf_fields(schema: dict[str, Any], one: dict[str, Any]) -> set[str]:
    return {name for option in _resolve(schema, one) for name in option.get("properties", {})}


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, counting what an alias points to each time; ``known`` keeps that cheap."""
    if id(node) not in known:
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        else:
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
        size = len(node.value) // _TEXT_SIZE if isinstance(node, yaml.ScalarNode) else 0
        known[id(node)] = 1 + size + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
