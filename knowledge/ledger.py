"""System of record of runs, results, predictions and findings, in SQL. The memory is rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError
from sqlalchemy import Engine, create_engine, event, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from executor.errors import UnavailableError
from executor.model.evidence import Evidence, Figure, Finding
from executor.model.plan import Action, Plan
from executor.model.system import System
from executor.model.vocabulary import Environment, Verdict, Weakness
from executor.state.durable import create
from executor.state.home import Home
from knowledge.exposure import from_json
from knowledge.features import Features
from knowledge.migration import migrate
from knowledge.recording import rows_of
from knowledge.resilience.measures import Dimension, Measure
from knowledge.rows import PastFigures, PastPrediction, PastRow, PastRun
from knowledge.schema import (
    VERSION,
    ActionRow,
    Base,
    ExperimentRow,
    FindingRow,
    MeasureRow,
    PredictionRow,
    ResultRow,
    Run,
    SchemaVersion,
)

BUSY_S = 10.0
"""A second writer waits so long for the first."""


class Ledger:
    """One open ledger, a context manager. Answers are ordered: oldest run first unless said otherwise.

    Raises ``UnavailableError`` where the file cannot be used, or was written by a newer Murphy; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _explained(path):
            create(path)
            self._engine = _engine(path)
            self._prepare()

    @classmethod
    def open(cls, home: Home) -> Ledger:
        """The ledger of a home, made if it is not there, mode 0600."""
        return cls(home.ledger)

    def record(self, plan: Plan, evidence: Evidence, findings: Sequence[Finding], system: System) -> bool:
        """Keep a whole run, all or nothing; durable on return. ``False``: recorded before, nothing changed."""
        with self._transaction() as session:
            if session.get(Run, evidence.run) is not None:
                return False
            for layer in rows_of(plan, evidence, findings, system):
                session.add_all(layer)
                session.flush()
            return True

    def runs(self) -> tuple[PastRun, ...]:
        """Every run."""
        with self._transaction() as session:
            return tuple(_run(row) for row in session.scalars(select(Run).order_by(Run.started, Run.run)))

    def past(self, system_name: str | None = None) -> tuple[PastRow, ...]:
        """Every result, of one system or of all."""
        query = select(ResultRow, Run).join(Run, Run.run == ResultRow.run)
        if system_name is not None:
            query = query.where(Run.system == system_name)
        query = query.order_by(Run.started, Run.run, ResultRow.position)
        with self._transaction() as session:
            return tuple(_past(result, run) for result, run in session.execute(query))

    def past_of(self, run: str) -> tuple[PastRow, ...]:
        """The results of one run; empty if there is no such run."""
        query = select(ResultRow, Run).join(Run, Run.run == ResultRow.run).where(ResultRow.run == run)
        with self._transaction() as session:
            return tuple(_past(result, of) for result, of in session.execute(query.order_by(ResultRow.position)))

    def predictions(self) -> tuple[PastPrediction, ...]:
        """Every expert's every prediction with its outcome."""
        query = (
            select(PredictionRow, ResultRow, Run)
            .join(
                ResultRow,
                (ResultRow.run == PredictionRow.run) & (ResultRow.hypothesis == PredictionRow.hypothesis),
            )
            .join(Run, Run.run == ResultRow.run)
            .order_by(Run.started, Run.run, ResultRow.position, PredictionRow.expert)
        )
        with self._transaction() as session:
            return tuple(_prediction(said, result, run) for said, result, run in session.execute(query))

    def findings(self) -> tuple[Finding, ...]:
        """Every finding, newest run first, within a run in the order of its report."""
        query = select(FindingRow).join(Run, Run.run == FindingRow.run)
        query = query.order_by(Run.started.desc(), Run.run, FindingRow.position)
        with self._transaction() as session:
            return tuple(Finding.model_validate(row.finding, strict=False) for row in session.scalars(query))

    def figures(self, system_name: str | None = None) -> tuple[PastFigures, ...]:
        """What each experiment has measured, of one system or of all."""
        query = select(ExperimentRow, Run).join(Run, Run.run == ExperimentRow.run)
        if system_name is not None:
            query = query.where(Run.system == system_name)
        query = query.order_by(Run.started, Run.run, ExperimentRow.position)
        with self._transaction() as session:
            return tuple(_figures(row, run) for row, run in session.execute(query))

    def measures(self, system_name: str) -> dict[str, tuple[Measure, ...]]:
        """What each run of a system has measured, by run; runs that measured nothing have none."""
        runs = select(Run.run).where(Run.system == system_name).order_by(Run.started, Run.run)
        query = select(MeasureRow).join(Run, Run.run == MeasureRow.run).where(Run.system == system_name)
        with self._transaction() as session:
            found: dict[str, list[Measure]] = {run: [] for run in session.scalars(runs)}
            for row in session.scalars(query.order_by(MeasureRow.run, MeasureRow.position)):
                found[row.run].append(_measure(row))
        return {run: tuple(told) for run, told in found.items()}

    def measures_of(self, run: str) -> tuple[Measure, ...]:
        """What one run has measured; nothing if there is no such run."""
        query = select(MeasureRow).where(MeasureRow.run == run).order_by(MeasureRow.position)
        with self._transaction() as session:
            return tuple(map(_measure, session.scalars(query)))

    def actions(self, system_name: str | None = None) -> dict[tuple[str, str], tuple[Action, ...]]:
        """What was done in each experiment, of one system or of all, by run and experiment.

        Nothing of runs that an older Murphy recorded, nor of experiments with a fault that this Murphy does not know.
        """
        query = select(ActionRow).order_by(ActionRow.run, ActionRow.experiment, ActionRow.position)
        if system_name is not None:
            query = query.join(Run, Run.run == ActionRow.run).where(Run.system == system_name)
        with self._transaction() as session:
            found: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for row in session.scalars(query):
                found.setdefault((row.run, row.experiment), []).append(row.action)
        known = {key: _actions(told) for key, told in found.items()}
        return {key: told for key, told in known.items() if told}

    def close(self) -> None:
        """Give the connections back. Idempotent."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with _explained(self.path), Session(self._engine) as session, session.begin():
            yield session

    def _prepare(self) -> None:
        with Session(self._engine) as session, session.begin():
            tables = set(inspect(session.connection()).get_table_names())
            if SchemaVersion.__tablename__ in tables:
                version = session.scalar(select(SchemaVersion.version))
                if version is not None and 1 <= version < VERSION:
                    migrate(session, version, self.path.parent / "runs")
                    return
                if version == VERSION:
                    return
                found = f"has schema version {version}, and this Murphy knows {VERSION}"
            elif tables:
                found = "is some other program's database"
            else:
                Base.metadata.create_all(session.connection())
                session.add(SchemaVersion(version=VERSION))
                return
        raise UnavailableError(
            f"the ledger {found}.", where=str(self.path), hint="Use the Murphy that wrote it, or another MURPHY_HOME."
        )


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions late, after the reads they depend on
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise UnavailableError(
            f"the ledger cannot be used: {reason}.",
            where=str(path),
            hint="Is the disk full or read-only, or the file ours?",
        ) from error


def _actions(told: Sequence[dict[str, Any]]) -> tuple[Action, ...]:
    try:
        return tuple(Action.model_validate(action, strict=False) for action in told)
    except ValidationError:
        return ()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _run(row: Run) -> PastRun:
    return PastRun(
        run=row.run,
        plan_id=row.plan_id,
        plan_digest=row.plan_digest,
        system=row.system,
        system_digest=row.system_digest,
        environment=Environment(row.environment),
        goal=row.goal,
        approver=row.approver,
        started=_moment(row.started),
        duration_s=row.duration_s,
        outcome=row.outcome,
    )


def _past(result: ResultRow, run: Run) -> PastRow:
    told = {**result.features, "weakness": Weakness(result.weakness)}
    return PastRow(
        run=result.run,
        system=run.system,
        experiment=result.experiment,
        hypothesis=result.hypothesis,
        weakness=Weakness(result.weakness),
        place=result.place,
        statement=result.statement,
        fault=result.fault,
        verdict=Verdict(result.verdict),
        reason=result.reason,
        predicted=result.predicted,
        at=_moment(run.started),
        features=Features(**{**told, "fault_types": tuple(told["fault_types"])}),
        exposure=from_json(result.exposure),
    )


def _prediction(said: PredictionRow, result: ResultRow, run: Run) -> PastPrediction:
    return PastPrediction(
        expert=said.expert,
        weakness=Weakness(result.weakness),
        place=result.place,
        probability=said.probability,
        verdict=Verdict(result.verdict),
        run=run.run,
        at=_moment(run.started),
    )


def _figures(row: ExperimentRow, run: Run) -> PastFigures:
    return PastFigures(
        run=row.run,
        system=run.system,
        experiment=row.experiment,
        at=_moment(run.started),
        figures=tuple(Figure.model_validate(each, strict=False) for each in row.figures),
    )


def _measure(row: MeasureRow) -> Measure:
    return Measure(
        dimension=Dimension(row.dimension),
        service=row.service,
        experiment=row.experiment,
        of=row.of,
        value=row.value,
        low=row.low,
        high=row.high,
        promised=row.promised,
        weight=row.weight,
        criticality=row.criticality,
        critical=row.critical,
    )
