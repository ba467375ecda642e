"""What an older ledger lacks, made good: tables, columns, and what runs that are still kept tell of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from executor.model.base import Contract
from executor.model.evidence import Evidence
from executor.model.plan import Plan
from executor.model.system import System
from executor.state.reading import read
from knowledge.recording import exposures
from knowledge.schema import VERSION, Base, ResultRow, Run, SchemaVersion

Kept = TypeVar("Kept", bound=Contract)


def migrate(session: Session, version: int, runs: Path) -> None:
    """Bring the tables of an earlier version to this one, within the caller's transaction.

    ``runs`` has a directory for each run. Of one that is gone nothing is known beyond its old rows.
    """
    Base.metadata.create_all(session.connection())  # the tables that later versions added
    if version < 3:
        session.execute(text("ALTER TABLE results ADD COLUMN exposure JSON"))
        for run in session.scalars(select(Run.run)).all():
            _tell_exposures(session, run, runs / run)
    session.execute(update(SchemaVersion).values(version=VERSION))


def _tell_exposures(session: Session, run: str, directory: Path) -> None:
    plan = _kept(directory / "plan.json", Plan)
    system = _kept(directory / "system.json", System)
    evidence = _kept(directory / "evidence.json", Evidence)
    if plan is None or system is None or evidence is None:
        return
    for hypothesis, told in exposures(plan, evidence, system):
        session.execute(
            update(ResultRow).where(ResultRow.run == run, ResultRow.hypothesis == hypothesis).values(exposure=told)
        )


def _kept(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return kind.model_validate_json(read(path))
    except (OSError, ValidationError):
        return None
