"""Plans, approvals and policies as files: read closely, written whole or not at all."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from executor.errors import InputError
from executor.model.approval import Approval
from executor.model.plan import Plan
from executor.safety.mandate import Policy
from executor.state.reading import read
from knowledge.resilience.scoring import Scoring

Model = TypeVar("Model", bound=BaseModel)


def load_plan(path: Path) -> Plan:
    """A plan. Raises ``InputError`` naming the file, the field, and what is wrong with it."""
    return _load(path, Plan, "murphy plan writes one.")


def load_approval(path: Path) -> Approval:
    """An approval. Raises ``InputError`` as ``load_plan`` does."""
    return _load(path, Approval, "murphy approve writes one.")


def load_policy(path: Path) -> Policy:
    """A policy, written in TOML. Raises ``InputError`` as ``load_plan`` does."""
    return _load(path, Policy, "murphy policy sign --help says what stands in one.", _as_json)


def load_scoring(path: Path) -> Scoring:
    """How scores are reckoned, written in TOML. Raises ``InputError`` as ``load_plan`` does."""
    return _load(path, Scoring, "murphy score prints what it reckons with.", _as_json)


def save(value: BaseModel, path: Path) -> None:
    """Write a contract value as JSON. Raises ``InputError`` if the file cannot be written; an old one is kept then."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(value.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise InputError(f"cannot be written: {error.strerror}.", where=str(path)) from None


def approval_path(plan: Path) -> Path:
    """Where the approval of a plan's file is kept: ``plan.json`` → ``plan.approval.json``."""
    return plan.with_suffix(".approval.json")


def _load(path: Path, model: type[Model], hint: str, to_json: Callable[[bytes], bytes] = bytes) -> Model:
    try:
        return model.model_validate_json(to_json(read(path)))
    except FileNotFoundError:
        raise InputError("is not there.", where=str(path), hint=hint) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", where=str(path)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {message}.", where=str(path), hint=_hint(first["type"])) from None
    except RecursionError:
        raise InputError("is nested too deeply.", where=str(path)) from None
    except ValueError as error:
        raise InputError(f"not TOML: {error}.", where=str(path)) from None


def _as_json(content: bytes) -> bytes:
    return json.dumps(tomllib.loads(content.decode()), default=str).encode()


def _hint(kind: str) -> str:
    if kind == "extra_forbidden":
        return "The schema in docs/schemas lists the fields."
    return "murphy faults lists the kinds and their parameters." if kind == "union_tag_invalid" else ""
