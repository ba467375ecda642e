"""A run's observations on disk: lines of JSON while it goes on, for whoever dies meanwhile, and Parquet afterwards.

The columnar file is written in pieces and read a trial at a time, so memory is bounded by the largest trial.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from executor.errors import InputError, UnavailableError
from executor.measure.columns import NO_STATUS, Columns, Recording
from executor.model.base import why_not
from executor.model.evidence import Observation
from executor.state.durable import sync_directory
from executor.state.reading import regular

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

LINES, COLUMNS = "observations.jsonl", "observations.parquet"
READ = ("calls:", "found:")
"""What these sources begin with was read, not asked."""
_BUFFER = 1 << 16
_PIECE_BYTES = 1 << 22
"""Of lines that are put into columns at once: some 25,000 observations, a group of rows of the columnar file."""


class ObservationLog:
    """Appends to one file of lines. Most are on disk at once, all after ``close``, by column then."""

    def __init__(self, directory: Path) -> None:
        """Raises ``UnavailableError`` if the file cannot be made."""
        self.count = 0
        self.probes = 0
        """Askings among them; edge counters are read, not asked."""
        self._directory = directory
        try:
            self._file = (directory / LINES).open("w", buffering=_BUFFER, encoding="utf-8")
        except OSError as error:
            raise UnavailableError(
                f"observations cannot be written: {error.strerror}.", where=str(directory / LINES)
            ) from error

    def write(self, observation: Observation) -> None:
        """Add one. Raises ``OSError`` if the disk is full."""
        self.count += 1
        self.probes += not observation.source.startswith(READ)
        self._file.write(observation.model_dump_json() + "\n")

    def close(self) -> None:
        """Make all of it durable, by column. Idempotent. Raises ``OSError`` if that fails; the lines are there then."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
        to_columns(self._directory)


def to_columns(directory: Path) -> None:
    """Put a run's lines into its columnar file, and remove these. Raises ``OSError``; then they are as they were."""
    import pyarrow
    from pyarrow import parquet

    lines, columns = directory / LINES, directory / COLUMNS
    part = columns.with_suffix(".part")
    schema = _schema()
    try:
        with part.open("wb") as file:
            with parquet.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for piece in _pieces(lines, schema):
                    writer.write_table(pyarrow.Table.from_batches([piece]).cast(schema))
            file.flush()
            os.fsync(file.fileno())
        part.rename(columns)
        sync_directory(directory)
        lines.unlink()
    except (pyarrow.ArrowException, ValueError) as error:
        raise OSError(errno.EIO, f"they cannot be put into columns: {error}", str(columns)) from error
    finally:
        part.unlink(missing_ok=True)


def load(directory: Path, experiment: str, trial: int | None = None) -> Recording:
    """What was observed in one experiment, or in one trial of it.

    Raises ``FileNotFoundError`` if the run has left no observations, ``InputError`` if they are damaged.
    """
    if (directory / COLUMNS).exists() or not (directory / LINES).exists():
        return _from_columns(directory / COLUMNS, experiment, trial)
    return _from_lines(directory / LINES, experiment, trial)


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    kinds = {
        "source": pa.string(),
        "experiment": pa.string(),
        "trial": pa.int32(),
        "at_s": pa.float64(),
        "ok": pa.bool_(),
        "latency_ms": pa.float64(),
        "status": pa.int32(),
        "value": pa.float64(),
        "error": pa.string(),
        "by": pa.string(),
    }
    return pa.schema([pa.field(name, kind, nullable=name in ("status", "value")) for name, kind in kinds.items()])


def _pieces(path: Path, schema: pyarrow.Schema) -> Iterator[pyarrow.RecordBatch]:
    from pyarrow import json
    from pyarrow import schema as schema_of

    anything = schema_of([field.with_nullable(True) for field in schema])
    with regular(path) as lines:
        if os.fstat(lines.fileno()).st_size:  # of no lines no columns could be told
            reading = json.ReadOptions(use_threads=False, block_size=_PIECE_BYTES)
            parsing = json.ParseOptions(explicit_schema=anything, unexpected_field_behavior="error")
            yield from json.open_json(lines, read_options=reading, parse_options=parsing)


def _from_lines(path: Path, experiment: str, trial: int | None) -> Recording:
    found = Recording()
    try:
        with regular(path) as lines:
            for line in lines:
                observation = Observation.model_validate_json(line)
                if observation.experiment == experiment and trial in (None, observation.trial):
                    found.add(observation)
    except (OSError, ValidationError) as error:
        raise InputError(f"the observations cannot be read: {why_not(error)}.", where=str(path)) from error
    return found


def _from_columns(path: Path, experiment: str, trial: int | None) -> Recording:
    import pyarrow
    from pyarrow import compute, parquet

    chosen = compute.field("experiment") == experiment
    if trial is not None:
        chosen &= compute.field("trial") == trial
    found = Recording()
    try:
        with regular(path) as file, parquet.ParquetFile(file, page_checksum_verification=True) as columns:
            if columns.schema_arrow not in (_schema(), _schema().remove(_schema().get_field_index("by"))):
                raise InputError("the observations cannot be read: their columns are others.", where=str(path))
            for number in range(columns.num_row_groups):
                if _may_hold(columns, number, "experiment", experiment) and _may_hold(columns, number, "trial", trial):
                    for piece in columns.read_row_group(number).to_batches():
                        _add(found, piece.filter(chosen))
        for source in found.sources:
            found.series(source)  # copies the pieces out of the library's memory, which the next trial is read into
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        words = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"the observations cannot be read: {words}.", where=str(path)) from error
    return found


def _may_hold(columns: ParquetFile, group: int, name: str, value: str | int | None) -> bool:
    """Whether a group of rows may have a value in a column, by what the file says of it; any has ``None``."""
    span = columns.metadata.row_group(group).column(columns.schema_arrow.names.index(name)).statistics
    return value is None or span is None or not span.has_min_max or bool(span.min <= value <= span.max)


def _add(found: Recording, piece: pyarrow.RecordBatch) -> None:
    from pyarrow import compute

    for source in piece["source"].unique().to_pylist():
        of = piece.filter(compute.equal(piece["source"], source))
        error = of["error"].dictionary_encode()
        texts = error.dictionary.to_pylist()
        by = of["by"].dictionary_encode() if "by" in of.schema.names else None  # earlier runs did not ask who answered
        columns = Columns(
            of["at_s"].to_numpy(),
            of["ok"].to_numpy(zero_copy_only=False),
            of["latency_ms"].to_numpy(),
            of["status"].fill_null(NO_STATUS).to_numpy(),
            of["value"].fill_null(math.nan).to_numpy(),
            error.indices.to_numpy(),
            np.full(len(of), len(texts), np.int32) if by is None else by.indices.to_numpy() + len(texts),
        )
        found.extend(source, columns, [*texts, *([""] if by is None else by.dictionary.to_pylist())])
