"""The ledger's tables. Changing one means a new ``VERSION`` and a migration from the version before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, ForeignKeyConstraint, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VERSION = 3


class Base(DeclarativeBase):
    """Every table of the ledger. Moments are ISO 8601 in UTC, which sort as text."""


class SchemaVersion(Base):
    """One row: the version of the tables beside it."""

    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(Integer, primary_key=True)


class Run(Base):
    """One run that left evidence."""

    __tablename__ = "runs"
    run: Mapped[str] = mapped_column(String(63), primary_key=True)
    plan_id: Mapped[str] = mapped_column(String(63))
    plan_digest: Mapped[str] = mapped_column(String(71))
    system: Mapped[str] = mapped_column(String(63), index=True)
    system_digest: Mapped[str] = mapped_column(String(71))
    environment: Mapped[str] = mapped_column(String(16))
    goal: Mapped[str] = mapped_column(Text)
    approver: Mapped[str] = mapped_column(Text)
    started: Mapped[str] = mapped_column(String(32), index=True)
    duration_s: Mapped[float] = mapped_column(Float)
    outcome: Mapped[str] = mapped_column(String(16))


class ExperimentRow(Base):
    """One experiment of a run."""

    __tablename__ = "experiments"
    run: Mapped[str] = mapped_column(ForeignKey("runs.run"), primary_key=True)
    experiment: Mapped[str] = mapped_column(String(63), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(Text)
    trials: Mapped[int] = mapped_column(Integer)
    aborted: Mapped[str] = mapped_column(Text)
    figures: Mapped[list[Any]] = mapped_column(JSON)


class ActionRow(Base):
    """One action of an experiment, whole as JSON of the contract, so that it can be done again. Since version 3."""

    __tablename__ = "actions"
    __table_args__ = (ForeignKeyConstraint(["run", "experiment"], ["experiments.run", "experiments.experiment"]),)
    run: Mapped[str] = mapped_column(String(63), primary_key=True)
    experiment: Mapped[str] = mapped_column(String(63), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    action: Mapped[dict[str, Any]] = mapped_column(JSON)


class MeasureRow(Base):
    """A number that an experiment has measured, beside what was promised. Since version 2."""

    __tablename__ = "measures"
    run: Mapped[str] = mapped_column(ForeignKey("runs.run"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    dimension: Mapped[str] = mapped_column(String(16))
    service: Mapped[str] = mapped_column(String(63))
    experiment: Mapped[str] = mapped_column(String(63))
    of: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    promised: Mapped[float | None] = mapped_column(Float)
    weight: Mapped[float] = mapped_column(Float)
    criticality: Mapped[int] = mapped_column(Integer)
    critical: Mapped[bool] = mapped_column(Boolean)


class ResultRow(Base):
    """The verdict on one hypothesis, with what its place is like."""

    __tablename__ = "results"
    __table_args__ = (ForeignKeyConstraint(["run", "experiment"], ["experiments.run", "experiments.experiment"]),)
    run: Mapped[str] = mapped_column(String(63), primary_key=True)
    hypothesis: Mapped[str] = mapped_column(String(63), primary_key=True)
    experiment: Mapped[str] = mapped_column(String(63))
    position: Mapped[int] = mapped_column(Integer)
    weakness: Mapped[str] = mapped_column(String(63), index=True)
    place: Mapped[str] = mapped_column(String(128), index=True)
    statement: Mapped[str] = mapped_column(Text)
    fault: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    predicted: Mapped[float] = mapped_column(Float)
    features: Mapped[dict[str, Any]] = mapped_column(JSON)
    exposure: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """``knowledge.exposure``; none where a run of before version 3 is no longer kept. Since version 3."""


class PredictionRow(Base):
    """What one expert expected of one hypothesis."""

    __tablename__ = "predictions"
    __table_args__ = (ForeignKeyConstraint(["run", "hypothesis"], ["results.run", "results.hypothesis"]),)
    run: Mapped[str] = mapped_column(String(63), primary_key=True)
    hypothesis: Mapped[str] = mapped_column(String(63), primary_key=True)
    expert: Mapped[str] = mapped_column(String(63), primary_key=True)
    probability: Mapped[float] = mapped_column(Float)


class FindingRow(Base):
    """A finding, whole as JSON of the contract."""

    __tablename__ = "findings"
    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.run"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    finding: Mapped[dict[str, Any]] = mapped_column(JSON)
