"""The contract as JSON Schema, for other programs; ``python -m executor.model.schemas DIR`` writes one file each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from executor.model.approval import Approval
from executor.model.base import Contract
from executor.model.evidence import Evidence, Finding, Observation
from executor.model.plan import Plan
from executor.model.system import System

PUBLISHED: tuple[type[Contract], ...] = (System, Plan, Approval, Evidence, Observation, Finding)


def schema(model: type[Contract]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one published model."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def text(model: type[Contract]) -> str:
    """The schema as it stands in its file: sorted keys, two spaces, a newline at the end."""
    return json.dumps(schema(model), indent=2, sort_keys=True) + "\n"


def main(directory: Path) -> None:
    """Write every published schema to ``directory``, made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    for model in PUBLISHED:
        (directory / f"{model.__name__.lower()}.schema.json").write_text(text(model), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
