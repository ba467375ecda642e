"""The file of a run's observations: one JSON object a line, in the order in which they were answered."""

from __future__ import annotations

import os
from pathlib import Path

from executor.errors import UnavailableError
from executor.model.evidence import Observation

_BUFFER = 1 << 16


class ObservationLog:
    """Appends to one file. Lines are on disk after ``close``, and most of them earlier."""

    def __init__(self, path: Path) -> None:
        """Raises ``UnavailableError`` if the file cannot be made."""
        self.count = 0
        self.probes = 0
        """Askings among them; edge counters are read, not asked."""
        try:
            self._file = path.open("w", buffering=_BUFFER, encoding="utf-8")
        except OSError as error:
            raise UnavailableError(f"observations cannot be written: {error.strerror}.", where=str(path)) from error

    def write(self, observation: Observation) -> None:
        """Add one. Raises ``OSError`` if the disk is full."""
        self.count += 1
        self.probes += observation.value is None and not observation.source.startswith("calls:")
        self._file.write(observation.model_dump_json() + "\n")

    def close(self) -> None:
        """Make all of it durable. Idempotent. Raises ``OSError`` if that fails; the file is closed all the same."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
