"""Options that many commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
LimitsFile = Annotated[
    Path | None, typer.Option("--limits", help="Limits stricter than the operator's; default: limits.toml.")
]
PlanOutput = Annotated[Path, typer.Option("-o", "--output", help="File to write.")]
