"""A run in a process of its own: what it needs is put into a directory, and carried out from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executor.model.approval import Approval
from executor.model.base import Contract
from executor.model.evidence import Evidence
from executor.model.plan import Plan
from executor.model.system import System
from executor.run import engine
from executor.safety.limits import Limits
from executor.state.home import Home


def put(directory: Path, **parts: Contract) -> None:
    """Put ``plan``, ``approval``, ``system`` and ``limits`` there."""
    for name, value in parts.items():
        (directory / f"{name}.json").write_text(value.model_dump_json(), encoding="utf-8")


def carry_out(directory: Path, home: Home, **how: Any) -> Evidence:
    """Carry out what is there, with what else ``executor.run.engine.run`` takes; raises as that does."""
    return engine.run(
        Plan.model_validate_json((directory / "plan.json").read_bytes()),
        Approval.model_validate_json((directory / "approval.json").read_bytes()),
        system=System.model_validate_json((directory / "system.json").read_bytes()),
        limits=Limits.model_validate_json((directory / "limits.json").read_bytes()),
        home=home,
        **how,
    )
